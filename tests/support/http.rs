//! An HTTP server on loopback that answers what it is told to.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The requests so far: first line and headers, and the body.
pub type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Answers each request (its head and its body) with a status and JSON; where it listens, and what it was asked.
pub async fn serve(
    mut answer: impl FnMut(&str, &str) -> (u16, String) + Send + 'static,
) -> (u16, Asked) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some((head, body)) = request(&mut stream).await else {
                continue;
            };
            let (status, json) = answer(&head, &body);
            log.lock().unwrap().push((head, body));
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n\
                 {json}",
                json.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.split("\r\n").next().unwrap().trim().parse().unwrap();
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(octets) => request.extend_from_slice(&buffer[..octets]),
        }
    }
}
