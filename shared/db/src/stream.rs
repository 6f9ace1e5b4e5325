//! A byte stream to a server, or to what stands in for it.

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a server, or to what stands in for it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}
