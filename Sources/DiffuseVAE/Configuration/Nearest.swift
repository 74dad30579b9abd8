/// The name that `word` is most likely a misspelling of, if any is near enough.
func nearest(to word: String, among names: [String]) -> String? {
  let length = word.count
  // Names of a very different length are too far away; a word may be as long as a file.
  let best = names.filter { abs($0.count - length) <= tolerance($0) }
    .map { (name: $0, distance: editDistance(word, $0)) }
    .min { $0.distance < $1.distance }
  guard let best, best.distance <= tolerance(best.name) else { return nil }
  return best.name
}

/// How far a misspelling of a name may be from it.
private func tolerance(_ name: String) -> Int { (name.count + 2) / 3 }

/// How many letters to insert, remove, replace or swap with their neighbour to turn one word into
/// the other (optimal string alignment).
func editDistance(_ a: String, _ b: String) -> Int {
  let (a, b) = (Array(a), Array(b))
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var distance = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
        distance = min(distance, beforeLast[j - 1] + 1)
      }
      row.append(distance)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
