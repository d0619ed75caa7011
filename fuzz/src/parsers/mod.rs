//! Everything that reads what others wrote.

pub(crate) mod answers;
pub(crate) mod checkpoints;
pub(crate) mod chunked;
pub(crate) mod endpoints;
pub(crate) mod headers;
pub(crate) mod profiles;
pub(crate) mod signing;
pub(crate) mod xml;
