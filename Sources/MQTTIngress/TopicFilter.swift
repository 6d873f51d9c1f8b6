/// An MQTT topic filter with `+` and `#`, the `$share/GROUP/` prefix taken off.
package struct TopicFilter: Sendable, Equatable {
  enum Level: Sendable, Equatable {
    case literal([UInt8])
    /// `+`: exactly one level, possibly empty.
    case one
    /// `#`: this level and everything below, or nothing at all.
    case rest
  }

  let levels: [Level]

  /// How many `+` and `#` it has.
  package var wildcardCount: Int { levels.count { $0 == .one || $0 == .rest } }

  /// Reads a filter.
  ///
  /// - Throws: `TopicMapError` when it is not a filter by MQTT 5 section 4.7.
  package init(_ text: String) throws(TopicMapError) {
    func wrong(_ problem: String, _ remedy: String) -> TopicMapError {
      TopicMapError(filter: text, problem: problem, remedy: remedy)
    }
    guard !text.utf8.contains(0), text.utf8.count <= 65_535 else {
      throw wrong("longer than 65535 bytes or with a zero byte", "shorten it")
    }
    var parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map(Array.init)
    if parts.first == Array("$share".utf8) {
      guard parts.count >= 3, !parts[1].isEmpty, !parts[1].contains(where: { "+#".utf8.contains($0) }) else {
        throw wrong("$share without a group", "write $share/GROUP/FILTER")
      }
      parts.removeFirst(2)
    }
    guard parts != [[]] else { throw wrong("empty", "name a topic, or # for all") }
    var levels: [Level] = []
    for (index, part) in parts.enumerated() {
      switch part {
      case Array("+".utf8): levels.append(.one)
      case Array("#".utf8):
        guard index == parts.count - 1 else { throw wrong("# before the last level", "use + for one level") }
        levels.append(.rest)
      default:
        guard !part.contains(where: { "+#".utf8.contains($0) }) else {
          throw wrong("a wildcard inside a level", "let + or # be a level of its own")
        }
        levels.append(.literal(part))
      }
    }
    self.levels = levels
  }

  /// Whether the topic matches; a leading wildcard never matches a topic that starts with `$`.
  package func matches(_ topic: UnsafeRawBufferPointer) -> Bool {
    walk(topic) { _ in }
  }

  /// The bytes each wildcard stands for in order, nil when the topic does not match.
  package func captures(_ topic: UnsafeRawBufferPointer) -> [Range<Int>]? {
    var found: [Range<Int>] = []
    return walk(topic) { found.append($0) } ? found : nil
  }

  private func walk(_ topic: UnsafeRawBufferPointer, _ capture: (Range<Int>) -> Void) -> Bool {
    if topic.first == UInt8(ascii: "$"), levels.first == .one || levels.first == .rest { return false }
    var start = 0
    for level in levels {
      if level == .rest {
        // `a/#` matches `a` too: then start is one past the end of the topic.
        capture(min(start, topic.count)..<topic.count)
        return true
      }
      guard start <= topic.count else { return false }
      var end = start
      while end < topic.count, topic[end] != UInt8(ascii: "/") { end += 1 }
      switch level {
      case .literal(let bytes): guard topic[start..<end].elementsEqual(bytes) else { return false }
      case .one, .rest: capture(start..<end)
      }
      start = end + 1
    }
    return start == topic.count + 1
  }
}

/// A filter or topic mapping that cannot be used: what is wrong with it and what to do.
package struct TopicMapError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The filter it is about.
  package let filter: String
  /// What is wrong.
  package let problem: String
  /// What to write instead.
  package let remedy: String

  package var description: String { "topic filter \(filter): \(problem): \(remedy)" }
}
