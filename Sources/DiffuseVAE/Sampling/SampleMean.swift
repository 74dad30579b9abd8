/// The mean over independent terms, one at least, and its standard error: the deviation that other
/// terms of the kind would give it. Nil for a single term.
package func sampleMean(_ terms: [Double]) -> (mean: Double, error: Double?) {
  let n = Double(terms.count)
  let mean = terms.reduce(0, +) / n
  let squares = terms.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
  return (mean, terms.count > 1 ? (squares / (n * (n - 1))).squareRoot() : nil)
}
