//! Watches the frame of aws-chunked bodies: s3s takes one that ends without its last chunk.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Whether the line of the last chunk, which is empty, was seen to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastChunk(Arc<AtomicBool>);

impl LastChunk {
    pub(crate) fn seen(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Passes a body on and reads along.
pub(crate) struct Watched<B> {
    inner: Pin<Box<B>>,
    reader: Reader,
    last: LastChunk,
}

impl<B: Body<Data = Bytes>> Watched<B> {
    pub(crate) fn new(inner: B) -> (Self, LastChunk) {
        let last = LastChunk::default();
        (Self { inner: Box::pin(inner), reader: Reader::Size(0), last: last.clone() }, last)
    }
}

impl<B: Body<Data = Bytes>> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = std::task::ready!(self.inner.as_mut().poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.reader.read(data);
            if self.reader == Reader::Done {
                self.last.0.store(true, Ordering::SeqCst);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where in the frame the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// In the size of a chunk, which is this so far.
    Size(u64),
    /// Behind the size, up to the end of the line.
    Line(u64),
    /// In a chunk and the line end behind it: so many bytes are left.
    Data(u64),
    Done,
}

impl Reader {
    fn read(&mut self, mut data: &[u8]) {
        while let Some((&byte, rest)) = data.split_first() {
            *self = match *self {
                Self::Data(left) => {
                    let taken = left.min(data.len() as u64);
                    // At most the length of `data`.
                    data = &data[usize::try_from(taken).unwrap_or(data.len())..];
                    *self = if left == taken { Self::Size(0) } else { Self::Data(left - taken) };
                    continue;
                }
                Self::Size(size) => match char::from(byte).to_digit(16) {
                    Some(digit) => Self::Size(size.saturating_mul(16).saturating_add(u64::from(digit))),
                    None => Self::Line(size),
                },
                Self::Line(size) if byte != b'\n' => Self::Line(size),
                Self::Line(0) | Self::Done => Self::Done,
                Self::Line(size) => Self::Data(size.saturating_add(2)),
            };
            data = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_chunk_at_every_split() {
        let body = b"b;chunk-signature=0\r\n0\r\n\r\n0\r\n\r\n0\r\n1\r\nx\r\n0;chunk-signature=0\r\nname:value\r\n\r\n";
        let end = body.len() - b"name:value\r\n\r\n".len();
        for split in 0..body.len() {
            let mut reader = Reader::Size(0);
            reader.read(&body[..split]);
            assert_eq!(reader == Reader::Done, split >= end, "{split}");
            reader.read(&body[split..]);
            assert_eq!(reader, Reader::Done);
        }
    }
}
