/// Numbers of steps to refine in, each with a number of images where that is another one than that
/// of the other rows.
public struct StepList: Equatable, Sendable {
  public struct Entry: Equatable, Sendable {
    public let steps: Int
    /// 4…1 000 000; nil for that of the other rows.
    public let count: Int?
  }

  public let entries: [Entry]

  /// Reads `1,10,1000:500`, where the last is 1000 steps by 500 images; nil for anything else.
  public init?(argument: String) {
    var entries: [Entry] = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let numbers = part.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(numbers.count), let steps = numbers[0], steps > 0 else { return nil }
      let count = numbers.count == 2 ? numbers[1] : nil
      guard numbers.count == 1 || count.map(Reference.counts.contains) == true else { return nil }
      entries.append(Entry(steps: steps, count: count))
    }
    self.entries = entries
  }

  init(steps: Int) { entries = [Entry(steps: steps, count: nil)] }
}
