"""Pages made by the server, from signing in to one's own account, and who is behind a request."""
