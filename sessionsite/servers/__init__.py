"""The servers that an .ini file can choose: `use = egg:sessionsite#NAME`, one module per name."""
