"""What admins do in chat, one module for each group of commands. `bot.commands` has the form they share."""
