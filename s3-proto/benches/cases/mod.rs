//! What is measured: pieces of work on the path of every request, each beside the least that it could cost.
// Each program that shares this asserts one of the limits, and whoever cannot build a case can only stop.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, unreachable_pub)]

mod calls;
mod checksums;
mod lists;
mod requests;
mod signing;

/// Something to do over and over.
pub type Work = Box<dyn FnMut()>;

/// A piece of work and what it may cost. `Display` is its name.
pub struct Case {
    pub name: &'static str,
    pub work: fn() -> Work,
    /// How often it may ask the allocator for memory.
    pub allocations: u64,
    /// The work that nobody can do without.
    pub floor: fn() -> Work,
    /// How many times the floor's instructions it may take.
    pub times: f64,
    /// How many bytes go through it, where that is what matters.
    pub bytes: usize,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All cases.
pub fn all() -> Vec<Case> {
    let families = [signing::cases(), requests::cases(), calls::cases(), lists::cases(), checksums::cases()];
    families.into_iter().flatten().collect()
}
