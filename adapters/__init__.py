"""Where people talk to Parley: one module or package for each platform, all on the contract in `protocol`."""
