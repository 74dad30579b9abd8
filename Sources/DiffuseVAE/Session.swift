import Foundation
import Logging
import Neural

/// What every command does first.
public enum Session {
  /// Threads that a command uses unless it is told otherwise: one for each core.
  public static var cores: Int { ProcessInfo.processInfo.activeProcessorCount }

  /// Sets the process up for work by lanes, and sends log messages to stderr.
  ///
  /// - Returns: the logger of the command.
  public static func begin(_ command: String) -> Logger {
    BLAS.useOneThreadPerProduct()
    Memory.keepFreedBuffers()
    // Writing past a file-size limit is then an error of `write`, in which the file is named.
    signal(SIGXFSZ, SIG_IGN)
    LoggingSystem.bootstrap { _ in PlainLogHandler() }
    return Logger(label: command)
  }

  /// One line on what the products run on. A kernel that the environment pins is named, since it
  /// may be slower than what the processor can do.
  public static func describe(threads: Int) -> String {
    let pinned = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"].map {
      ", pinned by OPENBLAS_CORETYPE=\($0)"
    }
    return "OpenBLAS \(BLAS.coreName)\(pinned ?? ""), \(threads) thread\(threads == 1 ? "" : "s")"
  }
}

/// Messages as they are, a line each, on stderr; what is not routine says its level first.
private struct PlainLogHandler: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let level = event.level >= .warning ? "\(event.level): " : ""
    FileHandle.standardError.write(Data("\(level)\(event.message)\n".utf8))
  }
}
