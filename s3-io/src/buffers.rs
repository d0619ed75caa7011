//! Memory that is used again.

use bytes::{Bytes, BytesMut};

/// Memory for the pieces of a source, which is used again once nobody holds what was in it: fresh memory costs the
/// system about as much as reading a file does, and pieces that come and go leave holes. There is never more of it
/// than was held at one time.
#[derive(Debug, Default)]
pub struct Buffers(Vec<Bytes>);

impl Buffers {
    /// Room for `len` bytes, with whatever is in it.
    pub fn take(&mut self, len: usize) -> BytesMut {
        let free = self.0.iter().position(Bytes::is_unique);
        match free.map(|free| self.0.swap_remove(free).try_into_mut()) {
            Some(Ok(mut buffer)) => {
                buffer.resize(len, 0);
                buffer
            }
            _ => BytesMut::zeroed(len),
        }
    }

    /// Remembers what is given away, to have it back.
    pub fn lend(&mut self, bytes: &Bytes) {
        self.0.push(bytes.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_once_nobody_holds_it() {
        let mut buffers = Buffers::default();
        let mut lend = |len| {
            let bytes = buffers.take(len).freeze();
            buffers.lend(&bytes);
            bytes
        };

        let first = lend(8);
        let place = first.as_ptr();
        let beside = lend(8);
        assert_ne!(beside.as_ptr(), place, "somebody holds it");

        drop((first, beside));
        let again = lend(5);
        assert_eq!((again.as_ptr(), again.len()), (place, 5));
    }
}
