/// A file that cannot be understood, or made: which one, and why, in one sentence.
public struct FormatError: Error, CustomStringConvertible, Equatable {
  public let file: String
  public let problem: String

  public init(file: String, problem: String) {
    self.file = file
    self.problem = problem
  }

  public var description: String { "\(file): \(problem)" }
}

/// `text` as it may stand in a message: in quotes, with unprintable characters escaped, and cut
/// if long, since it comes from the file that is being complained about.
func quoted(_ text: String) -> String {
  let isLong = text.unicodeScalars.count > 80
  let shown = isLong ? String(text.unicodeScalars.prefix(80)) + "..." : text
  // Swift escapes apostrophes, too, which nobody expects between quotes.
  return shown.debugDescription.replacing("\\'", with: "'")
}
