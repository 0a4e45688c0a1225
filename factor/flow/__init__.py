"""How a run goes from group to group and from facet to facet."""
