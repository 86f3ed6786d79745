//! Frames between the gateway and its children, over a Unix stream socket.
//!
//! A frame is a little-endian `u32` length and that many bytes of postcard. File descriptors ride
//! as `SCM_RIGHTS` on the frame's first byte, so a frame and its descriptors cannot come apart:
//! the kernel ends a read before bytes that carry other descriptors (unix(7), "Ancillary
//! messages"). Descriptors go from the gateway to a child only; a child's sandbox has no
//! `sendmsg`.
//!
//! The far end may be hostile (a child that runs a document's exploit), so every length is checked
//! before anything is allocated for it, and a frame that breaks a rule ends the connection.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame body, in bytes. A document of the largest mail that is let in fits.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// The most file descriptors that one frame carries.
pub const MAX_FDS: usize = 32;

/// Bytes of the length before each body.
const HEADER: usize = 4;

/// Bodies grow by at most this much before their bytes are here, so that a length alone makes
/// nobody allocate [`MAX_FRAME`].
const GROWTH: usize = 256 * 1024;

/// Why a frame could not be sent or received. All but `Encode` and `TooLong` on sending end the
/// connection: the two ends no longer agree where a frame begins.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The far end closed between two frames: it has ended.
    #[error("the other process has closed the connection")]
    Closed,
    /// The far end closed within a frame.
    #[error("the other process ended in the middle of a message")]
    CutOff,
    /// Body longer than [`MAX_FRAME`].
    #[error("a message of {0} bytes is longer than {MAX_FRAME} bytes")]
    TooLong(usize),
    /// More descriptors than [`MAX_FDS`], or more than this process may still open.
    #[error("a message carried more than {MAX_FDS} file descriptors, or none could be opened")]
    TooManyFds,
    /// The value cannot be written as postcard.
    #[error("a message cannot be written: {0}")]
    Encode(postcard::Error),
    /// The body is not what the receiver expects.
    #[error("a message cannot be read: {0}")]
    Decode(postcard::Error),
    /// The socket failed.
    #[error("the connection to the other process failed: {0}")]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for FrameError {
    fn from(errno: rustix::io::Errno) -> Self {
        match errno {
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => Self::Closed,
            other => Self::Io(other.into()),
        }
    }
}

/// A received frame: its body and the descriptors that came with it.
#[derive(Debug)]
pub struct Frame {
    body: Vec<u8>,
    /// Descriptors in the order in which they were sent, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

impl Frame {
    /// The message in the body.
    ///
    /// # Errors
    /// [`FrameError::Decode`] if the body is not a `T`, or has bytes left over.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        decode(&self.body)
    }

    /// Bytes of the body.
    #[must_use]
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether the body has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }
}

/// Writes `message` as a whole frame: header and body.
///
/// # Errors
/// [`FrameError::Encode`], [`FrameError::TooLong`].
pub fn encode<T: Serialize + ?Sized>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(message, vec![0; HEADER]).map_err(FrameError::Encode)?;
    let length = frame.len() - HEADER;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let header = u32::try_from(length).map_err(|_| FrameError::TooLong(length))?;
    frame[..HEADER].copy_from_slice(&header.to_le_bytes());
    Ok(frame)
}

/// Reads a frame's body.
///
/// # Errors
/// [`FrameError::Decode`] if it is not a `T`, or has bytes left over.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    let (message, rest) = postcard::take_from_bytes(body).map_err(FrameError::Decode)?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(FrameError::Decode(postcard::Error::DeserializeBadEncoding))
    }
}

/// The length that a header announces.
///
/// # Errors
/// [`FrameError::TooLong`].
fn body_length(header: [u8; HEADER]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    Ok(length)
}

/// Both directions of a connection. Blocking: the processes at both ends give it threads of their
/// own.
#[derive(Debug)]
pub struct FrameSocket {
    sender: FrameSender,
    receiver: FrameReceiver,
}

impl FrameSocket {
    /// Two connected ends.
    ///
    /// # Errors
    /// What `socketpair(2)` says.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = UnixStream::pair()?;
        Ok((Self::new(a)?, Self::new(b)?))
    }

    /// Frames over a connected stream socket, which must be blocking.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated for the two directions.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        let writer = stream.try_clone()?;
        Ok(Self {
            sender: FrameSender {
                stream: Arc::new(Mutex::new(writer)),
            },
            receiver: FrameReceiver { stream },
        })
    }

    /// The two directions, for different threads.
    #[must_use]
    pub fn split(self) -> (FrameSender, FrameReceiver) {
        (self.sender, self.receiver)
    }

    /// Sends a message; blocks until the kernel has all of it.
    ///
    /// # Errors
    /// As [`FrameSender::send`].
    pub fn send<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), FrameError> {
        self.sender.send(message)
    }

    /// Sends a message with descriptors.
    ///
    /// # Errors
    /// As [`FrameSender::send_with`].
    pub fn send_with<T: Serialize + ?Sized>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), FrameError> {
        self.sender.send_with(message, fds)
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// As [`FrameReceiver::receive`].
    pub fn receive(&mut self) -> Result<Frame, FrameError> {
        self.receiver.receive()
    }

    /// Waits for the next frame and reads it as a `T`, dropping its descriptors.
    ///
    /// # Errors
    /// As [`FrameReceiver::receive`], and [`FrameError::Decode`].
    pub fn receive_message<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        self.receive()?.decode()
    }
}

/// The sending direction. Clones share the socket; whole frames are sent one after another.
#[derive(Clone, Debug)]
pub struct FrameSender {
    stream: Arc<Mutex<UnixStream>>,
}

impl FrameSender {
    /// Sends a message; blocks until the kernel has all of it.
    ///
    /// # Errors
    /// [`FrameError::Closed`] if the far end has ended; `Encode` and `TooLong` send nothing.
    pub fn send<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), FrameError> {
        self.send_encoded(&encode(message)?, &[])
    }

    /// Sends a message and up to [`MAX_FDS`] descriptors, which stay open here too.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`FrameError::TooManyFds`] sends nothing.
    pub fn send_with<T: Serialize + ?Sized>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), FrameError> {
        self.send_encoded(&encode(message)?, fds)
    }

    /// Sends what [`encode`] made.
    ///
    /// # Errors
    /// As [`send_with`](Self::send_with).
    pub fn send_encoded(&self, frame: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), FrameError> {
        if fds.len() > MAX_FDS {
            return Err(FrameError::TooManyFds);
        }
        // A thread that panicked here left at worst a torn frame, which the far end detects.
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sent = 0;
        if !fds.is_empty() {
            sent = send_first(stream.as_fd(), frame, fds)?;
        }
        while sent < frame.len() {
            // `send`, not `sendmsg`: a child's sandbox has only this one (see the module's head).
            match rustix::net::send(stream.as_fd(), &frame[sent..], SendFlags::NOSIGNAL) {
                Ok(n) => sent += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// Sends the first bytes of a frame together with its descriptors; returns how many bytes went.
fn send_first(
    socket: BorrowedFd<'_>,
    frame: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<usize, FrameError> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(FrameError::TooManyFds);
        }
        let bytes = [IoSlice::new(frame)];
        match rustix::net::sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL) {
            Ok(n) => return Ok(n),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The receiving direction.
#[derive(Debug)]
pub struct FrameReceiver {
    stream: UnixStream,
}

impl FrameReceiver {
    /// Waits for the next frame.
    ///
    /// # Errors
    /// [`FrameError::Closed`] when the far end has ended between two frames, `CutOff` when within
    /// one; `TooLong` and `TooManyFds` when it breaks the rules. After any of them nothing more
    /// can be received.
    pub fn receive(&mut self) -> Result<Frame, FrameError> {
        let mut header = [0; HEADER];
        let mut fds = Vec::new();
        let mut got = 0;
        while got < HEADER {
            match receive_some(self.stream.as_fd(), &mut header[got..], &mut fds)? {
                0 if got == 0 => return Err(FrameError::Closed),
                0 => return Err(FrameError::CutOff),
                n => got += n,
            }
        }
        let body = read_body(&mut self.stream, body_length(header)?)?;
        Ok(Frame { body, fds })
    }
}

/// Receives some bytes of a header and the descriptors on them.
fn receive_some(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> Result<usize, FrameError> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => {
                for part in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = part {
                        fds.extend(rights);
                    }
                }
                if message.flags.contains(ReturnFlags::CTRUNC) || fds.len() > MAX_FDS {
                    return Err(FrameError::TooManyFds);
                }
                return Ok(message.bytes);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Reads `length` bytes, growing the buffer only as they arrive.
fn read_body(from: &mut impl Read, length: usize) -> Result<Vec<u8>, FrameError> {
    let mut body = Vec::with_capacity(length.min(GROWTH));
    let read = from.take(length as u64).read_to_end(&mut body)?;
    if read < length {
        return Err(FrameError::CutOff);
    }
    Ok(body)
}

/// Bytes in a message, written as one run instead of number by number (which serde does to a
/// `Vec<u8>`, many times slower).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl std::fmt::Debug for Blob {
    // The bytes are somebody's document: only their number may reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::fs::File;
    use std::io::{Seek, Write};

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    enum Message {
        Empty,
        Words { id: u64, text: String },
        Bytes(Blob),
        Many(Vec<Option<i32>>),
    }

    fn messages() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(Message::Empty),
            (any::<u64>(), ".*").prop_map(|(id, text)| Message::Words { id, text }),
            proptest::collection::vec(any::<u8>(), 0..5000).prop_map(|b| Message::Bytes(Blob(b))),
            proptest::collection::vec(any::<Option<i32>>(), 0..50).prop_map(Message::Many),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(message in messages()) {
            let frame = encode(&message).unwrap();
            let header: [u8; HEADER] = frame[..HEADER].try_into().unwrap();
            prop_assert_eq!(body_length(header).unwrap(), frame.len() - HEADER);
            prop_assert_eq!(decode::<Message>(&frame[HEADER..]).unwrap(), message);
        }

        #[test]
        fn frames_keep_their_bounds_and_order(list in proptest::collection::vec(messages(), 0..8)) {
            let (near, mut far) = FrameSocket::pair().unwrap();
            let sent = list.clone();
            let sending = std::thread::spawn(move || {
                for message in &sent {
                    near.send(message).unwrap();
                }
            });
            for message in &list {
                prop_assert_eq!(&far.receive_message::<Message>().unwrap(), message);
            }
            prop_assert!(matches!(far.receive(), Err(FrameError::Closed)));
            sending.join().unwrap();
        }

        #[test]
        fn strange_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.write_all(&bytes).unwrap();
            drop(near);
            let mut far = FrameSocket::new(far).unwrap();
            // Either frames, whose bodies decode or not, or one error that ends it.
            let mut taken = 0;
            loop {
                match far.receive() {
                    Ok(frame) => {
                        taken += HEADER + frame.len();
                        let _: Result<Message, _> = frame.decode();
                    }
                    Err(FrameError::Closed) => {
                        prop_assert_eq!(taken, bytes.len());
                        break;
                    }
                    Err(error) => {
                        prop_assert!(matches!(error, FrameError::CutOff | FrameError::TooLong(_)));
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn left_over_bytes_are_refused() {
        let mut frame = encode(&Message::Empty).unwrap();
        frame.push(0);
        assert!(matches!(
            decode::<Message>(&frame[HEADER..]),
            Err(FrameError::Decode(_))
        ));
    }

    #[test]
    fn a_long_frame_is_refused_by_its_header_alone() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(&u32::MAX.to_le_bytes()).unwrap();
        let mut far = FrameSocket::new(far).unwrap();
        assert!(matches!(far.receive(), Err(FrameError::TooLong(n)) if n == u32::MAX as usize));
        let blob = Blob(vec![0; MAX_FRAME + 1]);
        assert!(matches!(encode(&blob), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn an_announced_length_alone_allocates_little() {
        // The far end announces 64 MB, sends 3 bytes and goes.
        let mut three: &[u8] = &[1, 2, 3];
        assert!(matches!(
            read_body(&mut three, MAX_FRAME),
            Err(FrameError::CutOff)
        ));
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(&[9, 0]).unwrap();
        drop(near);
        let mut far = FrameSocket::new(far).unwrap();
        assert!(matches!(far.receive(), Err(FrameError::CutOff)));
    }

    #[test]
    fn descriptors_arrive_with_their_own_frame() {
        let (near, mut far) = FrameSocket::pair().unwrap();
        let files: Vec<File> = (0..MAX_FDS)
            .map(|n| {
                let mut file = tempfile::tempfile().unwrap();
                write!(file, "file {n}").unwrap();
                file.rewind().unwrap();
                file
            })
            .collect();
        let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        near.send("before").unwrap();
        near.send_with("two", &fds[..2]).unwrap();
        near.send_with("all", &fds).unwrap();
        near.send("after").unwrap();

        let mut counts = Vec::new();
        for _ in 0..4 {
            let frame = far.receive().unwrap();
            counts.push((frame.decode::<String>().unwrap(), frame.fds.len()));
            for (n, fd) in frame.fds.into_iter().enumerate() {
                // The offset is shared with the sender's descriptor: rewind before reading.
                let mut file = File::from(fd);
                file.rewind().unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, format!("file {n}"));
            }
        }
        let expected = [("before", 0), ("two", 2), ("all", MAX_FDS), ("after", 0)];
        assert_eq!(counts, expected.map(|(text, n)| (text.to_owned(), n)));
    }

    #[test]
    fn too_many_descriptors_are_not_sent() {
        let (near, _far) = FrameSocket::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let fds = vec![file.as_fd(); MAX_FDS + 1];
        assert!(matches!(
            near.send_with("five", &fds),
            Err(FrameError::TooManyFds)
        ));
    }

    #[test]
    fn sending_to_a_closed_end_says_so() {
        let (near, far) = FrameSocket::pair().unwrap();
        drop(far);
        assert!(matches!(near.send("anyone"), Err(FrameError::Closed)));
    }

    #[test]
    fn threads_never_mix_their_frames() {
        let (near, mut far) = FrameSocket::pair().unwrap();
        let (sender, _keep) = near.split();
        let threads: Vec<_> = (0u8..4)
            .map(|n| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        // Longer than a socket buffer takes at once.
                        sender.send(&Blob(vec![n; 300_000])).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..200 {
            let blob: Blob = far.receive_message().unwrap();
            assert!(blob.0.iter().all(|b| *b == blob.0[0]));
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
