import Foundation
import VitalModel
import YAMLText

/// Reads what `vigil.yaml` says of each receiver.
extension ConfigurationReader {
  private static let receiverKeys = [
    "name", "url", "format", "payload", "agreement", "secret", "secrets", "allow_private", "ca", "certificate", "key",
    "proxy", "may_accept",
  ]
  private static let urlForm = "https://host/path (or http://), without user or password"

  mutating func receiver(_ node: YAMLNode) {
    guard let entry = YAMLMapping(node, of: "receiver", keys: Self.receiverKeys, &problems) else { return }
    let name = entry.requiredRead("name", as: "a name without spaces, `/`, `+` or `#`", &problems) {
      RosterValue.identifier($0)
    }
    let url = address(entry)
    let format = entry.word("format", WebhookFormat.self, &problems) ?? .standard
    var receiver = VigilConfiguration.Receiver(name: name ?? "", url: url ?? WebhookURL.none, format: format)
    receiver.secrets = secrets(entry, of: format)
    disclosure(entry, &receiver)
    receiver.allowPrivate = entry.bool("allow_private", &problems) ?? false
    connection(entry, &receiver)
    receiver.mayAccept = mayAccept(entry, of: format)
    guard let name else { return }
    if let first = places.receivers.updateValue(entry.place(of: "name"), forKey: name) {
      problems.add(entry.place(of: "name"), "receiver `\(name)` is given twice, first at line \(first.line)")
      return
    }
    guard url != nil else { return }
    places.receiverURLs[name] = entry.place(of: "url")
    configuration.receivers.append(receiver)
  }

  /// The address as written, or by reference where it is a secret itself: those of Slack and Teams are.
  private mutating func address(_ entry: YAMLMapping) -> WebhookURL? {
    guard let node = entry.requiredValue("url", &problems) else { return nil }
    guard let text = node.scalar, SecretReference(text) != nil else {
      return YAMLMapping.parsed(node, of: "url", as: Self.urlForm, &problems) { WebhookURL($0) }
    }
    guard let secret = YAMLMapping.secret(node, of: "url", from: secretSources, &problems) else { return nil }
    guard let url = WebhookURL(secret.value, reference: secret.reference) else {
      problems.add(node, "`url`: \(secret.reference) is not \(Self.urlForm)")
      return nil
    }
    return url
  }

  // MARK: Secrets

  /// `secret`, or `secrets` with the current one first; what a secret is depends on the format.
  private mutating func secrets(_ entry: YAMLMapping, of format: WebhookFormat) -> [Secret] {
    if entry.has("secret"), entry.has("secrets") {
      problems.add(entry.place(of: "secrets"), "give `secret` or `secrets`, not both")
    }
    let key = entry.has("secrets") ? "secrets" : "secret"
    let nodes = entry.list(key, orSingle: key == "secret", &problems) ?? []
    guard format != .slack, format != .teams else {
      if entry.has(key) {
        problems.add(
          entry.place(of: key),
          "`format: \(format.rawValue)` has no secret but the address: keep that in `url: env:NAME` or `url: file:PATH`"
        )
      }
      return []
    }
    let most = format == .pagerduty ? 1 : 2
    if nodes.count > most {
      let rotation = most == 1 ? "one key with `format: pagerduty`" : "one key, or two during rotation"
      problems.add(nodes[most], "`\(key)` takes \(rotation)")
    }
    return nodes.compactMap { node in
      guard let secret = YAMLMapping.secret(node, of: key, from: secretSources, &problems) else { return nil }
      let isUsable = format == .pagerduty ? Self.isRoutingKey(secret.value) : Self.isSigningKey(secret.value)
      guard isUsable else {
        let form =
          format == .pagerduty ? "an integration key of 32 letters and digits" : "`whsec_` and base64 of 24 to 64 bytes"
        problems.add(node, "`\(key)`: \(secret.reference) is not \(form)")
        return nil
      }
      return secret
    }
  }

  /// Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes.
  private static func isSigningKey(_ text: String) -> Bool {
    guard text.hasPrefix("whsec_"), let bytes = Data(base64Encoded: String(text.dropFirst(6))) else { return false }
    return (24...64).contains(bytes.count)
  }

  private static func isRoutingKey(_ text: String) -> Bool {
    text.utf8.count == 32 && text.utf8.allSatisfy { ($0 | 32 >= 97 && $0 | 32 <= 122) || (48...57).contains($0) }
  }

  // MARK: What leaves the house

  /// Payload and agreement (SEMANTICS E6).
  private mutating func disclosure(_ entry: YAMLMapping, _ receiver: inout VigilConfiguration.Receiver) {
    receiver.payload = entry.word("payload", WebhookPayload.self, &problems) ?? .thin
    receiver.agreement = entry.read("agreement", as: "a name of the agreement", &problems) { text in
      text.contains { !$0.isWhitespace } ? text : nil
    }
    guard receiver.format.isAlwaysThin else { return }
    if receiver.payload == .full {
      problems.add(
        entry.place(of: "payload"),
        "`format: \(receiver.format.rawValue)` is always thin: no patient and no value goes to outside services")
      receiver.payload = .thin
    }
    if receiver.agreement != nil {
      problems.add(
        entry.place(of: "agreement"),
        "`agreement` changes nothing: `format: \(receiver.format.rawValue)` is always thin")
    }
  }

  private mutating func mayAccept(_ entry: YAMLMapping, of format: WebhookFormat) -> Bool {
    guard entry.bool("may_accept", &problems) == true else { return false }
    if format.isAlwaysThin {
      problems.add(
        entry.place(of: "may_accept"), "`format: \(format.rawValue)` answers with no name: nobody can accept through it"
      )
    }
    return !format.isAlwaysThin
  }

  // MARK: Connection

  private mutating func connection(_ entry: YAMLMapping, _ receiver: inout VigilConfiguration.Receiver) {
    receiver.authority = entry.string("ca", &problems)
    receiver.certificate = entry.string("certificate", &problems)
    receiver.key = entry.string("key", &problems)
    if entry.has("certificate") != entry.has("key") {
      problems.add(entry.place(of: entry.has("key") ? "key" : "certificate"), "`certificate` and `key` go together")
    }
    if !receiver.url.usesTLS {
      for key in ["ca", "certificate", "key"] where entry.has(key) {
        problems.add(entry.place(of: key), "`\(key)` needs an https:// address")
      }
    }
    let proxyForm = "http://host:port (or https://, socks5h://), without user or password"
    receiver.proxy = entry.read("proxy", as: proxyForm, &problems) { text in
      let rest = ["http://", "https://", "socks5h://"].first(where: text.hasPrefix).map { text.dropFirst($0.count) }
      return rest.flatMap { NetworkAddress($0.last == "/" ? $0.dropLast() : $0) }.map { _ in text }
    }
  }
}
