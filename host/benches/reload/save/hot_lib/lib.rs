//! What is reloaded: how answers are rendered.

/// What the binary has read.
pub struct Row {
    pub id: i64,
    pub title: String,
    pub amount: i32,
}

