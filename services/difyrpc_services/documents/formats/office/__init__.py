"""What Office Open XML formats share: parts and relations, drawn text, charts, diagrams."""
