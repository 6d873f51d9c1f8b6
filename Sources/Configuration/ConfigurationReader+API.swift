import VitalModel
import YAMLText

extension VigilConfiguration {
  /// Who may use the HTTP API, and how receivers reach it.
  package struct API: Hashable, Sendable {
    /// Where receivers reach `/v1` from outside; nil: nowhere, so webhooks carry no callback.
    package var publicURL: WebhookURL?
    /// What requests must present; nil: none, and only this machine is served.
    package var token: Secret?
    /// How long a webhook's callback is good for, milliseconds.
    package var callbackExpiry: Int64 = 3_600_000

    package init() {}
  }

  /// Users who may answer by way of receivers (SEMANTICS E6): the people configured.
  package var knownUsers: Set<String> { Set(onCall.people.map(\.id)) }

  /// Shortest token, characters: what 96 random bits take in base64.
  static let apiTokenMin = 16
}

extension ConfigurationReader {
  /// Section `api`.
  mutating func api(_ top: YAMLMapping) {
    guard let entry = top.mapping("api", keys: ["public_url", "token", "callback_expiry"], &problems) else { return }
    let form = "https://host[/path] (or http://), without user, password, `?` or `#`"
    configuration.api.publicURL = entry.read("public_url", as: form, &problems) { text in
      text.contains("?") ? nil : WebhookURL(text)
    }
    if let url = configuration.api.publicURL, configuration.profile == .production, !url.usesTLS,
      !url.address.isLoopback
    {
      problems.add(
        entry.place(of: "public_url"), "\(url) is refused in production: answers would come in the clear, use https://")
    }
    if let token = entry.secret("token", from: secretSources, &problems) {
      if token.value.utf8.count >= VigilConfiguration.apiTokenMin, token.value.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
      {
        configuration.api.token = token
      } else {
        problems.add(
          entry.place(of: "token"),
          "`token`: \(token.reference) must be at least \(VigilConfiguration.apiTokenMin) characters without spaces "
            + "(openssl rand -base64 32 makes one)")
      }
    }
    if let expiry = entry.duration("callback_expiry", in: 60_000...604_800_000, &problems) {
      configuration.api.callbackExpiry = expiry
    }
  }

  /// Nobody could answer by way of a receiver if no user were known (SEMANTICS E6).
  mutating func checkAnswers() {
    guard configuration.knownUsers.isEmpty else { return }
    for receiver in configuration.receivers where receiver.mayAccept {
      warnings.add(
        places.receivers[receiver.name] ?? places.root,
        "receiver `\(receiver.name)` has `may_accept` but no user is known: list them under `people`")
    }
  }
}
