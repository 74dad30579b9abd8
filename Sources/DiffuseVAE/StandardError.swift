import Foundation

/// Text on stderr. What cannot be written is dropped: progress is no reason to stop.
public enum StandardError {
  public static func write(_ text: String) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let count = bytes[start...].withUnsafeBytes {
        #if canImport(Darwin)
          Darwin.write(2, $0.baseAddress, $0.count)
        #else
          Glibc.write(2, $0.baseAddress, $0.count)
        #endif
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      start += count
    }
  }
}
