import RealModule

/// `ln Σ eˣ` of numbers that come one after the other, without overflow.
struct LogSum {
  private var largest = -Double.infinity
  private var sum = 0.0  // Σ e^(x - largest)

  mutating func add(_ x: Double) {
    // Adds nothing, and has no difference from a largest that is as small. What is not a number stays.
    guard x != -.infinity else { return }
    if x <= largest {
      sum += .exp(x - largest)
    } else {
      sum = sum * .exp(largest - x) + 1
      largest = x
    }
  }

  var value: Double { largest + .log(sum) }
}
