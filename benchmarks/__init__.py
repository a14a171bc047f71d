"""Each module is one command that prints a table, and a ratio against the stock recipe measured in the same run.

The stock recipe is what a LangChain tutorial builds: ``RecursiveCharacterTextSplitter`` (1,000 characters, 200 of
overlap), ``HuggingFaceEmbeddings``, a flat FAISS index and a chain that stuffs the four nearest chunks into the prompt.
Absolute times are those of the machine; the ratios are what to compare.
"""
