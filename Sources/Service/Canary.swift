import VitalModel

/// The heartbeat's canary: a message that makes the whole trip a real one makes (SEMANTICS E5).
enum Canary {
  static let device = "vigil-canary"
  /// The webhook type of a heartbeat.
  static let type = WebhookType.heartbeat.rawValue

  static func payload(number: Int64, sentAt: Int64) -> String { "canary \(number) \(sentAt)" }

  /// What a wave payload of the canary device says; nil: not a canary.
  static func meaning(_ item: HeavyItem) -> (number: Int64, sentAt: Int64)? {
    guard item.device == device else { return nil }
    let words = String(decoding: item.bytes.prefix(100), as: UTF8.self).split(separator: " ")
    guard words.count == 3, words[0] == "canary", let number = Int64(words[1]), let sentAt = Int64(words[2]) else {
      return nil
    }
    return (number, sentAt)
  }
}
