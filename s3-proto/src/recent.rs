//! What was found out about the last few names.

use std::collections::BTreeMap;

/// A value for each of a bounded number of names: buckets, or hosts. The name that was not asked for longest is given up
/// first.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    most: usize,
    values: BTreeMap<String, Entry<V>>,
    /// Counts the questions.
    asked: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// Which question was the last for it.
    asked: u64,
}

impl<V> Recent<V> {
    /// For so many names at most.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, values: BTreeMap::new(), asked: 0 }
    }

    /// The value of this name, if there is one.
    pub(crate) fn get(&mut self, name: &str) -> Option<&mut V> {
        self.asked += 1;
        let entry = self.values.get_mut(name)?;
        entry.asked = self.asked;
        Some(&mut entry.value)
    }

    /// Looks at the value of this name, or changes it; it is made if there is none.
    pub(crate) fn with<T>(
        &mut self,
        name: &str,
        make: impl FnOnce() -> V,
        look: impl FnOnce(&mut V) -> T,
    ) -> T {
        if let Some(value) = self.get(name) {
            return look(value);
        }
        let mut value = make();
        let seen = look(&mut value);
        self.put(name, value);
        seen
    }

    /// Sets the value of this name.
    pub(crate) fn put(&mut self, name: &str, value: V) {
        if self.values.len() >= self.most && !self.values.contains_key(name) {
            let oldest =
                self.values.iter().min_by_key(|(_, entry)| entry.asked).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.values.remove(&name));
        }
        self.asked += 1;
        self.values.insert(name.to_owned(), Entry { value, asked: self.asked });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_not_asked_for_longest_is_given_up_first() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);
        recent.get("a");

        recent.put("c", 3);

        assert_eq!(["a", "b", "c"].map(|name| recent.get(name).copied()), [Some(1), None, Some(3)]);
    }

    #[test]
    fn a_new_value_for_a_name_takes_the_place_of_the_one_before() {
        let mut recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);

        recent.put("b", 3);

        assert_eq!(["a", "b"].map(|name| recent.get(name).copied()), [Some(1), Some(3)]);
    }

    #[test]
    fn a_value_is_made_once() {
        let mut recent = Recent::new(2);

        let seen = [7, 8].map(|fresh| {
            recent.with(
                "a",
                || fresh,
                |value| {
                    *value += 10;
                    *value
                },
            )
        });

        assert_eq!(seen, [17, 27]);
    }
}
