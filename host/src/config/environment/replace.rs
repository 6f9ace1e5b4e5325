//! Replaces the environment while other threads read it.
//!
//! `setenv` changes an array that C code reads without a lock, and frees it when it grows. Here the array and its
//! strings are new each time, are complete before they become visible, and are never freed: a concurrent reader sees
//! either the old environment or the new one. This leaks a few kilobytes per change of `.env`.
//!
//! A concurrent `setenv`, such as `set_var` in the app, counts the entries of the array and then copies that many from
//! whatever array `environ` points to by then. So no array is shorter than its predecessor: it is padded with nulls.

#![expect(unsafe_code, reason = "std can only change the environment in place")]

use std::{
    ffi::{CString, OsString, c_char},
    os::unix::ffi::OsStringExt,
    ptr,
    sync::atomic::{AtomicPtr, Ordering::Release},
};

// SAFETY: POSIX defines this variable as a pointer, which has the layout of an `AtomicPtr`. When the app calls
// `set_var` at the same time, std writes it under its own lock: one of the two changes is lost, but nothing dangles. C
// code and std read it as one word, and both the old and the new value stay valid for ever.
unsafe extern "C" {
    safe static environ: AtomicPtr<*mut c_char>;
}

/// More variables than a program sets while the array is being replaced.
const SPARE: usize = 256;

/// Makes `variables` the environment.
pub(super) fn replace(variables: impl Iterator<Item = (OsString, OsString)>) {
    let mut array: Vec<*mut c_char> = variables
        .filter_map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            // Skip values with a NUL, which no environment can hold.
            CString::new(entry).ok()
        })
        .map(CString::into_raw)
        .collect();
    array.push(ptr::null_mut());
    let before = std::env::vars_os().count();
    array.resize(array.len().max(before) + SPARE, ptr::null_mut());
    let array: &'static mut [*mut c_char] = Vec::leak(array);
    environ.store(array.as_mut_ptr(), Release);
}
