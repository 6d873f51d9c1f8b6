/// What a topic's last level says about its payload.
package enum TopicChannel: String, Sendable, Equatable, CaseIterable {
  /// Vital signs.
  case vitals
  /// Device state.
  case status
  /// Button presses, alarms the device sounds.
  case event
  /// Wave forms.
  case wave
}

/// Where tenant and device stand in a topic, as byte ranges of it.
package struct TopicRanges: Sendable, Equatable {
  /// Bytes of the tenant, never empty.
  package let tenant: Range<Int>
  /// Bytes of the device, never empty.
  package let device: Range<Int>
  /// The last level.
  package let channel: TopicChannel
}

/// The native topic layout `vigil/v1/{tenant}/{device}/{channel}`.
package enum TopicScheme {
  /// The filter that subscribes to everything of it.
  package static let filter = "vigil/v1/+/+/+"

  /// Splits a native topic, without allocation; nil when it is any other topic.
  ///
  /// Tenants starting with `$` are reserved (`vigil/v1/$status/...`) and do not match.
  package static func match(_ topic: UnsafeRawBufferPointer) -> TopicRanges? {
    let prefix: StaticString = "vigil/v1/"
    guard starts(topic, with: prefix, at: 0) else { return nil }
    guard let tenant = level(of: topic, from: prefix.utf8CodeUnitCount), topic[tenant.lowerBound] != UInt8(ascii: "$"),
      let device = level(of: topic, from: tenant.upperBound + 1)
    else { return nil }
    return channel(topic, from: device.upperBound + 1).map { TopicRanges(tenant: tenant, device: device, channel: $0) }
  }

  /// A level that is not empty and has another one after it.
  private static func level(of topic: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
    var end = start
    while end < topic.count, topic[end] != UInt8(ascii: "/") { end += 1 }
    return end > start && end < topic.count ? start..<end : nil
  }

  private static func channel(_ topic: UnsafeRawBufferPointer, from start: Int) -> TopicChannel? {
    if ends(topic, with: "vitals", at: start) { return .vitals }
    if ends(topic, with: "status", at: start) { return .status }
    if ends(topic, with: "event", at: start) { return .event }
    if ends(topic, with: "wave", at: start) { return .wave }
    return nil
  }

  private static func ends(_ topic: UnsafeRawBufferPointer, with text: StaticString, at start: Int) -> Bool {
    topic.count == start + text.utf8CodeUnitCount && starts(topic, with: text, at: start)
  }

  private static func starts(_ topic: UnsafeRawBufferPointer, with text: StaticString, at start: Int) -> Bool {
    guard topic.count >= start + text.utf8CodeUnitCount else { return false }
    for offset in 0..<text.utf8CodeUnitCount where topic[start + offset] != text.utf8Start[offset] { return false }
    return true
  }
}
