//! Pure planning: from a LotoAI resource to the objects it stands for.
