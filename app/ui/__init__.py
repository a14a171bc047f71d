"""The pages of the web app: records become HTML here, and nowhere is a document's text taken for markup."""
