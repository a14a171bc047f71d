"""What every room shares: records that flow, errors, settings and the name-to-class tables."""
