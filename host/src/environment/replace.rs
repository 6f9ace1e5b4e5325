//! Replaces the environment while other threads read it.
//!
//! `setenv` changes the array that C code reads without a lock, and frees it when it grows. Here the array and its
//! strings are new each time, are complete before anybody sees them, and are never freed: whoever reads meanwhile has
//! the old environment or the new one. What that keeps is a few kilobytes for each change of `.env`.
//!
//! A `setenv` at the same moment, as `set_var` in the app is one, counts the entries of the array and then copies so
//! many from wherever `environ` points by then. So no array is shorter than that before it: behind its end stand nulls.

#![expect(unsafe_code, reason = "std can only change the environment in place")]

use std::{
    ffi::{CString, OsString, c_char},
    os::unix::ffi::OsStringExt,
    ptr,
    sync::atomic::{AtomicPtr, Ordering::Release},
};

// SAFETY: POSIX has this variable: one word, as an `AtomicPtr` is. std writes through it under a lock of its own when
// the app calls `set_var`: then one of the two changes is lost, and nothing dangles. C code and std read it as one word,
// whose old and new values are good for ever.
unsafe extern "C" {
    safe static environ: AtomicPtr<*mut c_char>;
}

/// More than anybody sets while one array takes the place of another.
const SPARE: usize = 256;

/// From now on `variables` are the environment.
pub(super) fn replace(variables: impl Iterator<Item = (OsString, OsString)>) {
    let mut array: Vec<*mut c_char> = variables
        .filter_map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            // A value with a NUL cannot be in any environment.
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
