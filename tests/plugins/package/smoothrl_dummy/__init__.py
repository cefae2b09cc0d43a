"""A package of somebody else, with one plug-in for every door of smoothrl."""
