//! Reads protobuf without its schema: by the numbers of fields, as the definitions of OTLP give them.

#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<(u64, Value)>);

#[derive(Clone, Debug)]
enum Value {
    /// A varint, or a number of eight bytes.
    Number(u64),
    /// A text, a message, or many numbers.
    Bytes(Vec<u8>),
}

impl Message {
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut bytes)),
                1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = varint(&mut bytes).try_into().unwrap();
                    Value::Bytes(take(&mut bytes, length).to_vec())
                }
                5 => Value::Bytes(take(&mut bytes, 4).to_vec()),
                other => panic!("wire type {other}"),
            };
            fields.push((tag >> 3, value));
        }
        Self(fields)
    }

    fn values(&self, field: u64) -> impl Iterator<Item = &Value> {
        let values = self.0.iter().filter(move |(number, _)| *number == field);
        values.map(|(_, value)| value)
    }

    /// The last value wins; none is nothing.
    pub(crate) fn bytes(&self, field: u64) -> Vec<u8> {
        match self.values(field).last() {
            Some(Value::Bytes(bytes)) => bytes.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field)).unwrap()
    }

    pub(crate) fn number(&self, field: u64) -> Option<u64> {
        match self.values(field).last() {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn message(&self, field: u64) -> Self {
        Self::read(&self.bytes(field))
    }

    pub(crate) fn messages(&self, field: u64) -> Vec<Self> {
        let read = |value: &Value| match value {
            Value::Bytes(bytes) => Self::read(bytes),
            Value::Number(number) => panic!("{number} is no message"),
        };
        self.values(field).map(read).collect()
    }

    /// Numbers of eight bytes, one after the other.
    pub(crate) fn packed(&self, field: u64) -> Vec<u64> {
        let read = |eight: &[u8]| u64::from_le_bytes(eight.try_into().unwrap());
        self.bytes(field).chunks(8).map(read).collect()
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}
