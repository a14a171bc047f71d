"""Chat models, each a LangChain ``BaseChatModel`` in one module."""
