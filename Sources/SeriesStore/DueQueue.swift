/// What a mark asks for.
enum UpkeepKind: Int, Sendable, CaseIterable {
  case merge
  case rollUp
}

/// A mark whose time has come.
struct DueMark: Sendable {
  struct Name: Hashable, Sendable {
    let kind: UpkeepKind
    let day: GroupDay
  }

  let kind: UpkeepKind
  let day: GroupDay

  var name: Name { Name(kind: kind, day: day) }
}

/// Days by the time they are due, earliest first; those of one time by group and day. A binary heap.
struct DueQueue: Sendable {
  struct Entry: Comparable, Sendable {
    let time: Int64
    let day: GroupDay

    static func < (left: Entry, right: Entry) -> Bool { (left.time, left.day) < (right.time, right.day) }
  }

  private var entries: [Entry] = []

  var first: Entry? { entries.first }
  var count: Int { entries.count }

  /// O(log count).
  mutating func insert(_ time: Int64, _ day: GroupDay) {
    entries.append(Entry(time: time, day: day))
    var at = entries.count - 1
    while at > 0, entries[at] < entries[(at - 1) / 2] {
      entries.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  /// O(log count).
  mutating func removeFirst() {
    guard let last = entries.popLast(), !entries.isEmpty else { return }
    entries[0] = last
    var at = 0
    while true {
      var least = at
      for child in [2 * at + 1, 2 * at + 2] where child < entries.count && entries[child] < entries[least] {
        least = child
      }
      if least == at { return }
      entries.swapAt(at, least)
      at = least
    }
  }
}
