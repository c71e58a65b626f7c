"""Model packs: manifest, search, digests and the tiers' frequency tables. No torch."""
