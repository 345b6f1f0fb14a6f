"""The words of the documents: how text becomes terms, what a term weighs, and one Tantivy index for each source.

`knowledge.lexical` puts it together; nothing else needs this package.
"""
