//! Requests to the HTTP API.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::http::requests(octets));
