/// How a payload is written.
package enum TopicFormat: String, Sendable, Equatable, CaseIterable {
  /// The native JSON, or SenML told apart by content type or shape.
  case json
  /// One number in text, such as `72` or `36.6`.
  case number
  /// One word in text, such as `A`.
  case text
  /// SenML JSON (RFC 8428).
  case senml
}

/// What a topic says about the payload under it.
package struct TopicMatch: Sendable, Equatable {
  /// Tenant, never empty.
  package let tenant: String
  /// Device, never empty.
  package let device: String
  /// Channel; `vitals` unless the topic or its mapping says otherwise.
  package let channel: TopicChannel
  /// The vital sign, for payloads that name none; always there for `number` and `text`.
  package let code: String?
  /// How the payload is written.
  package let format: TopicFormat

  /// A match of these parts.
  package init(tenant: String, device: String, channel: TopicChannel, code: String?, format: TopicFormat) {
    self.tenant = tenant
    self.device = device
    self.channel = channel
    self.code = code
    self.format = format
  }
}

/// One configured layout: a filter and where tenant, device and code come from.
package struct TopicMapping: Sendable, Equatable {
  /// A fixed word, or the level under the n-th wildcard.
  enum Part: Sendable, Equatable {
    case literal(String)
    /// Counted from 0.
    case wildcard(Int)
  }

  let filter: TopicFilter
  let tenant: Part
  let device: Part
  let code: Part?
  let format: TopicFormat
  let channel: TopicChannel

  /// Reads a mapping; `tenant`, `device` and `code` are words, or `$1`, `$2`, ... for the level under the n-th wildcard.
  ///
  /// - Throws: `TopicMapError` for a bad filter, a `$n` without its wildcard, or a `number` or `text` without a code.
  package init(
    filter: String, tenant: String, device: String, code: String? = nil, format: TopicFormat = .json,
    channel: TopicChannel = .vitals
  ) throws(TopicMapError) {
    let parsed = try TopicFilter(filter)
    func part(_ name: String, _ text: String) throws(TopicMapError) -> Part {
      guard text.first == "$" else {
        guard !text.isEmpty else {
          throw TopicMapError(filter: filter, problem: "\(name) is empty", remedy: "write a word or $1, $2, ...")
        }
        return .literal(text)
      }
      let wildcards = parsed.levels.filter { $0 == .one || $0 == .rest }
      guard let number = Int(text.dropFirst()), number >= 1, number <= wildcards.count else {
        throw TopicMapError(
          filter: filter, problem: "\(name) \(text): the filter has \(wildcards.count) wildcards",
          remedy: wildcards.isEmpty ? "write a word, or put + into the filter" : "use $1 to $\(wildcards.count)")
      }
      guard wildcards[number - 1] == .one else {
        throw TopicMapError(
          filter: filter, problem: "\(name) \(text): # may stand for several levels", remedy: "use + for that level")
      }
      return .wildcard(number - 1)
    }
    self.filter = parsed
    self.tenant = try part("tenant", tenant)
    self.device = try part("device", device)
    if let code { self.code = try part("code", code) } else { self.code = nil }
    guard self.code != nil || (format != .number && format != .text) else {
      throw TopicMapError(
        filter: filter, problem: "format \(format.rawValue) without a code",
        remedy: "add code: KEY, or code: $n when a level names it")
    }
    self.format = format
    self.channel = channel
  }

  func match(_ topic: UnsafeRawBufferPointer) -> TopicMatch? {
    guard let captures = filter.captures(topic) else { return nil }
    func word(_ part: Part) -> String? {
      switch part {
      case .literal(let text): return text
      case .wildcard(let index):
        let bytes = captures[index]
        return bytes.isEmpty ? nil : String(decoding: topic[bytes], as: UTF8.self)
      }
    }
    guard let tenant = word(tenant), let device = word(device) else { return nil }
    guard let code else {
      return TopicMatch(tenant: tenant, device: device, channel: channel, code: nil, format: format)
    }
    return word(code).map {
      TopicMatch(tenant: tenant, device: device, channel: channel, code: $0, format: format)
    }
  }
}

/// Turns topics into tenant, device and format: configured layouts first, in their order, then the native one.
///
/// Not shared between threads: each connection has its own. Topics seen before are answered from a bounded cache.
package struct TopicMap {
  /// The cache is emptied when it holds this many topics.
  package static let cacheCapacity = 65_536

  private struct Cached {
    let topic: [UInt8]
    let match: TopicMatch?
  }

  private let mappings: [TopicMapping]
  private var cache: [UInt64: Cached] = [:]

  /// A map of these layouts, and the native one.
  package init(_ mappings: [TopicMapping] = []) { self.mappings = mappings }

  /// What the topic says, nil when no layout knows it. No allocation for a topic seen before.
  package mutating func match(_ topic: UnsafeRawBufferPointer) -> TopicMatch? {
    let hash = Self.hash(topic)
    // Two topics with one hash do not share an answer: the later one is worked out every time.
    if let known = cache[hash] { return known.topic.elementsEqual(topic) ? known.match : resolve(topic) }
    let match = resolve(topic)
    if cache.count >= Self.cacheCapacity { cache.removeAll(keepingCapacity: true) }
    cache[hash] = Cached(topic: Array(topic), match: match)
    return match
  }

  private func resolve(_ topic: UnsafeRawBufferPointer) -> TopicMatch? {
    for mapping in mappings {
      if let match = mapping.match(topic) { return match }
    }
    return TopicScheme.match(topic).map {
      TopicMatch(
        tenant: String(decoding: topic[$0.tenant], as: UTF8.self),
        device: String(decoding: topic[$0.device], as: UTF8.self), channel: $0.channel, code: nil, format: .json)
    }
  }

  /// FNV-1a, 64 bits.
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}
