"""Four independent ways to find out, which know neither formulas nor models: any theory will do."""
