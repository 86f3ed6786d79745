//! Who sent it: proof, and the user it maps to.
