import ArgumentParser

/// `1,10,1000:500`: numbers of steps, each with a number of images where that is another one.
struct StepList: ExpressibleByArgument {
  let entries: [(steps: Int, count: Int?)]

  init?(argument: String) {
    var entries: [(steps: Int, count: Int?)] = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let numbers = part.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
      guard (1...2).contains(numbers.count), let steps = numbers[0], steps > 0 else { return nil }
      guard numbers.count == 1 || numbers[1].map({ (4...1_000_000).contains($0) }) == true else {
        return nil
      }
      entries.append((steps, numbers.count == 2 ? numbers[1] : nil))
    }
    self.entries = entries
  }
}
