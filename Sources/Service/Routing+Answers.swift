import Configuration
import Digests
import VitalModel

extension AlertDocument {
  /// Whether it calls somebody: at the start, to whom it escalates, and again. What only tells others of an answer does
  /// not, or two machines that answer everything would answer each other for ever.
  var asksForAnswer: Bool { phase == .start || phase == .escalate || (isRealarm && phase != .end) }
}

/// Who may answer what was sent, and with which links.
struct AnswerRights: Sendable {
  private let keys: [String: [[UInt8]]]
  private let people: Set<String>
  private let publicURL: String?
  private let lifetime: Int64

  init(_ configuration: VigilConfiguration) {
    var keys: [String: [[UInt8]]] = [:]
    for receiver in configuration.receivers where receiver.mayAccept {
      keys[receiver.name] = receiver.secrets.compactMap { secret in
        bytes(base64: String(secret.value.dropFirst("whsec_".count))).map {
          CallbackToken.key(secret: $0, receiver: receiver.name)
        }
      }
    }
    self.keys = keys
    people = configuration.knownUsers
    publicURL = configuration.api.publicURL.map { $0.text.hasSuffix("/") ? String($0.text.dropLast()) : $0.text }
    lifetime = configuration.api.callbackExpiry
  }

  /// Whether a receiver may answer at all (SEMANTICS E6).
  func mayAnswer(_ receiver: String) -> Bool { keys[receiver] != nil }

  func isKnownUser(_ user: String) -> Bool { people.contains(user) }

  /// Reads and checks a token presented.
  func open(_ text: String, now: Int64) throws(CallbackToken.Refusal) -> CallbackToken {
    try CallbackToken.open(text, now: now) { keys[$0] ?? [] }
  }

  /// A link to answer one transition with; nil: the receiver may not, or no public address is configured.
  func link(receiver: String, alertID: String, sequence: Int, now: Int64) -> (url: String, expires: Int64)? {
    guard let publicURL, let key = keys[receiver]?.first,
      let nonce = try? secureRandomBytes(count: CallbackToken.nonceBytes)
    else { return nil }
    let token = CallbackToken(
      alertID: alertID, sequence: UInt32(clamping: sequence), receiver: receiver, expires: now + lifetime, nonce: nonce)
    return token.text(key: key).map { ("\(publicURL)/v1/callbacks/\($0)", token.expires) }
  }

  /// The body of a webhook with the receiver's link at its end, where there is one. Formats that others have set have no
  /// place for it.
  ///
  /// - Parameter body: one JSON object.
  func body(
    _ body: [UInt8], to receiver: VigilConfiguration.Receiver, _ document: AlertDocument, now: Int64
  ) -> [UInt8] {
    guard receiver.format == .standard, document.asksForAnswer, body.last == UInt8(ascii: "}"), body.count > 2,
      let link = link(receiver: receiver.name, alertID: document.alertID, sequence: document.sequence, now: now)
    else { return body }
    var out = JSONText()
    out.object("callback") {
      $0.field("url", link.url)
      $0.field("expires", Timestamp.format(link.expires))
    }
    return body.dropLast() + [UInt8(ascii: ",")] + out.bytes + [UInt8(ascii: "}")]
  }
}
