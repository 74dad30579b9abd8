import ArgumentParser
import DiffuseVAE
import Formats
import Foundation

/// A program of this package.
public protocol Command: ParsableCommand {}

extension Command {
  /// Runs it, and exits with 74, `sysexits.h`'s EX_IOERR, when the system refused to read or write a file;
  /// a name that cannot be right is a mistake like others, of code 1.
  public static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as FileError where !error.isMistake {
      StandardError.write("Error: \(error)\n")
      exit(withError: ExitCode(EX_IOERR))
    } catch {
      exit(withError: error)
    }
  }
}
