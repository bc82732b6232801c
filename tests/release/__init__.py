"""`make release`: what would be uploaded, built, and used outside of any checkout."""
