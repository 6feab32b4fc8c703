"""The label loop's outgoing side: what people are asked, as files for a labelling tool or on a page of our own.

Reads the lake, writes lines into the inbox: bronze tables are import_labels' alone.
"""
