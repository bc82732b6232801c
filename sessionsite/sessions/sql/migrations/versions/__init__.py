"""One module per version of the table. Each step may find itself half done, and goes on."""
