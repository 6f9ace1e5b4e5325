//! `/api/invoices`: how its answers are rendered.

use serde::Serialize;

use crate::Row;

#[derive(Serialize)]
struct Invoice<'a> {
    id: i64,
    title: &'a str,
    amount: i32,
}

impl<'a> Invoice<'a> {
    fn of(row: &'a Row) -> Self {
        Self {
            id: row.id,
            title: &row.title,
            amount: row.amount,
        }
    }
}

#[derive(Serialize)]
struct Invoices<'a> {
    heading: &'static str,
    invoices: Vec<Invoice<'a>>,
}

#[unsafe(no_mangle)]
pub fn invoice_list(rows: &[Row]) -> String {
    let invoices = Invoices {
        heading: "All invoices",
        invoices: rows.iter().map(Invoice::of).collect(),
    };
    serde_json::to_string(&invoices).unwrap_or_default()
}

#[derive(Serialize)]
struct Labelled<'a> {
    label: String,
    invoice: Invoice<'a>,
}

#[unsafe(no_mangle)]
pub fn invoice_read(row: &Row) -> String {
    let invoice = Invoice::of(row);
    let label = label(&invoice);
    serde_json::to_string(&Labelled { label, invoice }).unwrap_or_default()
}

fn label(invoice: &Invoice) -> String {
    format!("{} ({})", invoice.title, invoice.amount)
}

#[unsafe(no_mangle)]
pub fn invoice_created(row: &Row) -> String {
    serde_json::to_string(&Invoice::of(row)).unwrap_or_default()
}
