/// A binary heap of (due, patient), earliest first, ties by patient number. Entries may be outdated: the owner checks.
struct DeadlineHeap {
  private var entries: [(due: Int64, patient: UInt32)] = []

  var top: (due: Int64, patient: UInt32)? { entries.first }
  var earliest: Int64? { entries.first?.due }

  private func before(_ a: Int, _ b: Int) -> Bool {
    (entries[a].due, entries[a].patient) < (entries[b].due, entries[b].patient)
  }

  mutating func push(due: Int64, patient: UInt32) {
    entries.append((due, patient))
    var child = entries.count - 1
    while child > 0, before(child, (child - 1) / 2) {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// - Precondition: not empty.
  mutating func pop() -> (due: Int64, patient: UInt32) {
    entries.swapAt(0, entries.count - 1)
    let top = entries.removeLast()
    var parent = 0
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && before(child, smallest) {
        smallest = child
      }
      if smallest == parent { return top }
      entries.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
