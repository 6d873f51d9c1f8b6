/// The settings nothing beats on both sides, and how far the best one stands out.
package enum TuningFront {
  /// Positions whose burden no other setting undercuts with at least as much of what is sought, by burden; of equals the
  /// first. Settings without a value are on no front. O(n log n).
  package static func positions(_ points: [(burden: Double, value: Double?)]) -> [Int] {
    let order = points.indices.filter { points[$0].value != nil }
      .sorted { (points[$0].burden, points[$1].value ?? 0, $0) < (points[$1].burden, points[$0].value ?? 0, $1) }
    var front: [Int] = []
    var best = -Double.infinity
    for position in order {
      guard let value = points[position].value, value > best else { continue }
      best = value
      front.append(position)
    }
    return front
  }

  /// At most so many of a list, spread evenly, both ends among them.
  package static func thinned(_ positions: [Int], to count: Int) -> [Int] {
    guard positions.count > count, count > 1 else { return positions }
    return (0..<count).map { positions[$0 * (positions.count - 1) / (count - 1)] }
  }
}

/// How flat the optimum is: settings as good as the chosen one as far as anybody can tell.
package struct TuningFlatness: Hashable, Sendable {
  /// One standard error of the chosen setting's objective, over resampled patients.
  package var spread: Double
  /// Settings that reach the target within that of the best value, the chosen one among them; and settings compared.
  package var within: Int
  package var count: Int
  /// Of those, the lowest and highest value of each axis.
  package var ranges: [Range]

  package struct Range: Hashable, Sendable {
    package var label: String
    package var lowest: String
    package var highest: String
    /// Whether that is all that was tried.
    package var isWhole: Bool
  }
}
