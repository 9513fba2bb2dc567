"""Phrases that lexbridge itself says to callers, such as its apologies, in each language of Lex.

The bot's locale decides on the language. A setting can replace each phrase. What the bot says is not here: those are
messages. Phrases are whole sentences, and no word is put into one: so none has to fit another language's grammar.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PhraseName = Literal[
    "goodbye",
    "not_heard",
    "say_it_again",
    "not_available",
    "one_moment",
    "busy",
    "call_limit",
    "done",
    "transfer_failed",
]
"""Names of the fields of Phrases. An error carries such a name, not a text, for the text depends on the language."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases of one language, named after when the caller hears them. None is empty."""

    goodbye: str
    not_heard: str
    say_it_again: str
    not_available: str
    one_moment: str
    busy: str
    call_limit: str
    done: str
    transfer_failed: str

    def named(self, name: PhraseName) -> str:
        """Return the phrase called `name`."""
        phrase: str = getattr(self, name)
        return phrase


CATALOGUE: Mapping[str, tuple[str, Phrases]] = {
    "en": (
        "You will be interacting with Lex bot in 3, 2, 1. Go.",
        Phrases(
            goodbye="Goodbye.",
            not_heard="Sorry, I did not hear anything.",
            say_it_again="Sorry, I did not get that. Please say it again.",
            not_available="Sorry, this service is not available.",
            one_moment="One moment please.",
            busy="Sorry, all lines are busy. Please call again later.",
            call_limit="We have to end this call now.",
            done="Okay.",
            transfer_failed="Sorry, nobody can take your call right now. How else can I help you?",
        ),
    ),
    "ar": (
        "مرحباً. كيف يمكنني مساعدتك؟",
        Phrases(
            goodbye="مع السلامة.",
            not_heard="عذراً، لم أسمع شيئاً.",
            say_it_again="عذراً، لم أفهم. يُرجى التكرار.",
            not_available="عذراً، هذه الخدمة غير متاحة.",
            one_moment="لحظة من فضلك.",
            busy="عذراً، جميع الخطوط مشغولة. يُرجى الاتصال لاحقاً.",
            call_limit="علينا إنهاء هذه المكالمة الآن.",
            done="حسناً.",
            transfer_failed="عذراً، لا يمكن لأحد الرد على مكالمتك الآن. كيف يمكنني مساعدتك غير ذلك؟",
        ),
    ),
    "ca": (
        "Hola. En què us puc ajudar?",
        Phrases(
            goodbye="Adeu.",
            not_heard="Ho sento, no he sentit res.",
            say_it_again="Ho sento, no ho he entès. Repetiu-ho, si us plau.",
            not_available="Ho sento, aquest servei no està disponible.",
            one_moment="Un moment, si us plau.",
            busy="Ho sento, totes les línies estan ocupades. Truqueu més tard, si us plau.",
            call_limit="Ara hem d'acabar aquesta trucada.",
            done="D'acord.",
            transfer_failed="Ho sento, ara mateix ningú no pot atendre la trucada. En què més us puc ajudar?",
        ),
    ),
    "da": (
        "Hej. Hvad kan jeg hjælpe med?",
        Phrases(
            goodbye="Farvel.",
            not_heard="Beklager, jeg hørte ikke noget.",
            say_it_again="Beklager, det forstod jeg ikke. Sig det venligst igen.",
            not_available="Beklager, denne tjeneste er ikke tilgængelig.",
            one_moment="Et øjeblik.",
            busy="Beklager, alle linjer er optaget. Ring venligst igen senere.",
            call_limit="Vi er nødt til at afslutte samtalen nu.",
            done="Okay.",
            transfer_failed="Beklager, ingen kan tage opkaldet lige nu. Hvad kan jeg ellers hjælpe med?",
        ),
    ),
    "de": (
        "Guten Tag. Was kann ich für Sie tun?",
        Phrases(
            goodbye="Auf Wiederhören.",
            not_heard="Entschuldigung, ich habe nichts gehört.",
            say_it_again="Entschuldigung, das habe ich nicht verstanden. Bitte sagen Sie es noch einmal.",
            not_available="Leider ist dieser Dienst nicht verfügbar.",
            one_moment="Einen Moment bitte.",
            busy="Leider sind alle Leitungen belegt. Bitte rufen Sie später wieder an.",
            call_limit="Wir müssen dieses Gespräch jetzt beenden.",
            done="In Ordnung.",
            transfer_failed="Leider ist gerade niemand zu erreichen. Was kann ich sonst für Sie tun?",
        ),
    ),
    "es": (
        "Hola. ¿En qué puedo ayudarle?",
        Phrases(
            goodbye="Adiós.",
            not_heard="Lo siento, no escuché nada.",
            say_it_again="Lo siento, no entendí. Por favor, repítalo.",
            not_available="Lo siento, este servicio no está disponible.",
            one_moment="Un momento, por favor.",
            busy="Lo siento, todas las líneas están ocupadas. Por favor, llame más tarde.",
            call_limit="Ahora debemos terminar esta llamada.",
            done="De acuerdo.",
            transfer_failed="Lo siento, nadie puede atender su llamada en este momento. ¿En qué más puedo ayudarle?",
        ),
    ),
    "es_ES": (
        "Hola. ¿En qué puedo ayudarle?",
        Phrases(
            goodbye="Adiós.",
            not_heard="Lo siento, no he oído nada.",
            say_it_again="Lo siento, no le he entendido. Por favor, repítalo.",
            not_available="Lo siento, este servicio no está disponible.",
            one_moment="Un momento, por favor.",
            busy="Lo siento, todas las líneas están ocupadas. Por favor, llame más tarde.",
            call_limit="Ahora tenemos que terminar esta llamada.",
            done="De acuerdo.",
            transfer_failed="Lo siento, ahora mismo nadie puede atender su llamada. ¿En qué más puedo ayudarle?",
        ),
    ),
    "fi": (
        "Hei. Kuinka voin auttaa?",
        Phrases(
            goodbye="Kuulemiin.",
            not_heard="Anteeksi, en kuullut mitään.",
            say_it_again="Anteeksi, en saanut selvää. Voisitteko toistaa?",
            not_available="Valitettavasti palvelu ei ole käytettävissä.",
            one_moment="Pieni hetki.",
            busy="Valitettavasti kaikki linjat ovat varattuja. Soittakaa myöhemmin uudelleen.",
            call_limit="Meidän on nyt lopetettava tämä puhelu.",
            done="Selvä.",
            transfer_failed="Valitettavasti kukaan ei voi juuri nyt vastata puheluun. Miten muuten voin auttaa?",
        ),
    ),
    "fr": (
        "Bonjour. Comment puis-je vous aider ?",
        Phrases(
            goodbye="Au revoir.",
            not_heard="Désolé, je n'ai rien entendu.",
            say_it_again="Désolé, je n'ai pas compris. Veuillez répéter, s'il vous plaît.",
            not_available="Désolé, ce service n'est pas disponible.",
            one_moment="Un instant, s'il vous plaît.",
            busy="Désolé, toutes nos lignes sont occupées. Veuillez rappeler plus tard.",
            call_limit="Nous devons maintenant mettre fin à cet appel.",
            done="D'accord.",
            transfer_failed="Désolé, personne ne peut vous répondre pour l'instant. Puis-je vous aider autrement ?",
        ),
    ),
    "hi": (
        "नमस्ते। आपको किस काम में मदद चाहिए?",
        Phrases(
            goodbye="धन्यवाद, नमस्ते।",
            not_heard="माफ़ कीजिए, कुछ सुनाई नहीं दिया।",
            say_it_again="माफ़ कीजिए, बात समझ में नहीं आई। कृपया दोबारा बोलिए।",
            not_available="माफ़ कीजिए, यह सेवा उपलब्ध नहीं है।",
            one_moment="कृपया एक क्षण रुकिए।",
            busy="माफ़ कीजिए, सभी लाइनें व्यस्त हैं। कृपया बाद में फिर कॉल कीजिए।",
            call_limit="अब हमें यह कॉल समाप्त करनी होगी।",
            done="ठीक है।",
            transfer_failed="माफ़ कीजिए, अभी कोई भी आपकी कॉल नहीं ले सकता। आपको और किस काम में मदद चाहिए?",
        ),
    ),
    "it": (
        "Salve. Come posso aiutarla?",
        Phrases(
            goodbye="Arrivederci.",
            not_heard="Mi scusi, non ho sentito nulla.",
            say_it_again="Mi scusi, non ho capito. Può ripetere, per favore?",
            not_available="Spiacenti, il servizio non è disponibile.",
            one_moment="Un momento, per favore.",
            busy="Spiacenti, tutte le linee sono occupate. La preghiamo di richiamare più tardi.",
            call_limit="Ora dobbiamo terminare questa chiamata.",
            done="Va bene.",
            transfer_failed="Spiacenti, al momento nessuno può rispondere. In che altro modo posso aiutarla?",
        ),
    ),
    "ja": (
        "お電話ありがとうございます。ご用件をお話しください。",
        Phrases(
            goodbye="失礼いたします。",
            not_heard="申し訳ありません。何も聞こえませんでした。",
            say_it_again="申し訳ありません。聞き取れませんでした。もう一度おっしゃってください。",
            not_available="申し訳ありません。このサービスはご利用いただけません。",
            one_moment="少々お待ちください。",
            busy="申し訳ありません。ただいま電話が混み合っております。後ほどおかけ直しください。",
            call_limit="恐れ入りますが、ここで通話を終了いたします。",
            done="承知いたしました。",
            transfer_failed="申し訳ありません。ただいま電話に出られる者がおりません。ほかにご用件がございましたら、お話しください。",
        ),
    ),
    "ko": (
        "안녕하세요. 무엇을 도와드릴까요?",
        Phrases(
            goodbye="안녕히 계세요.",
            not_heard="죄송합니다. 아무 말씀도 듣지 못했습니다.",
            say_it_again="죄송합니다. 잘 알아듣지 못했습니다. 다시 한번 말씀해 주세요.",
            not_available="죄송합니다. 이 서비스를 이용하실 수 없습니다.",
            one_moment="잠시만 기다려 주세요.",
            busy="죄송합니다. 모든 회선이 통화 중입니다. 나중에 다시 걸어 주세요.",
            call_limit="이제 통화를 종료해야 합니다.",
            done="알겠습니다.",
            transfer_failed="죄송합니다. 지금은 전화를 받을 수 없습니다. 다른 도움이 필요하시면 말씀해 주세요.",
        ),
    ),
    "nl": (
        "Hallo. Waarmee kan ik u helpen?",
        Phrases(
            goodbye="Tot ziens.",
            not_heard="Sorry, ik heb niets gehoord.",
            say_it_again="Sorry, dat heb ik niet verstaan. Kunt u het nog een keer zeggen?",
            not_available="Sorry, deze dienst is niet beschikbaar.",
            one_moment="Een ogenblik alstublieft.",
            busy="Sorry, alle lijnen zijn bezet. Probeert u het later nog eens.",
            call_limit="We moeten dit gesprek nu beëindigen.",
            done="Oké.",
            transfer_failed="Sorry, er kan op dit moment niemand opnemen. Waarmee kan ik u anders helpen?",
        ),
    ),
    "no": (
        "Hei. Hva kan jeg hjelpe deg med?",
        Phrases(
            goodbye="Ha det bra.",
            not_heard="Beklager, jeg hørte ingenting.",
            say_it_again="Beklager, det fikk jeg ikke med meg. Vennligst si det igjen.",
            not_available="Beklager, denne tjenesten er ikke tilgjengelig.",
            one_moment="Et øyeblikk.",
            busy="Beklager, alle linjer er opptatt. Vennligst ring igjen senere.",
            call_limit="Vi må avslutte samtalen nå.",
            done="Greit.",
            transfer_failed="Beklager, ingen kan ta samtalen akkurat nå. Hva annet kan jeg hjelpe deg med?",
        ),
    ),
    "pl": (
        "Dzień dobry. W czym mogę pomóc?",
        Phrases(
            goodbye="Do widzenia.",
            not_heard="Przepraszam, nic nie słyszę.",
            say_it_again="Przepraszam, nie rozumiem. Proszę powtórzyć.",
            not_available="Przepraszamy, ta usługa jest niedostępna.",
            one_moment="Chwileczkę, proszę.",
            busy="Przepraszamy, wszystkie linie są zajęte. Proszę zadzwonić później.",
            call_limit="Musimy teraz zakończyć tę rozmowę.",
            done="Dobrze.",
            transfer_failed="Przepraszamy, teraz nikt nie może odebrać. W czym jeszcze mogę pomóc?",
        ),
    ),
    "pt": (
        "Olá. Como posso ajudar?",
        Phrases(
            goodbye="Até logo.",
            not_heard="Desculpe, não ouvi nada.",
            say_it_again="Desculpe, não entendi. Por favor, repita.",
            not_available="Desculpe, este serviço não está disponível.",
            one_moment="Um momento, por favor.",
            busy="Desculpe, todas as linhas estão ocupadas. Por favor, ligue mais tarde.",
            call_limit="Precisamos encerrar esta chamada agora.",
            done="Certo.",
            transfer_failed="Desculpe, ninguém pode atender sua chamada agora. Como mais posso ajudar?",
        ),
    ),
    "pt_PT": (
        "Olá. Em que posso ajudar?",
        Phrases(
            goodbye="Adeus.",
            not_heard="Desculpe, não ouvi nada.",
            say_it_again="Desculpe, não percebi. Por favor, repita.",
            not_available="Desculpe, este serviço não está disponível.",
            one_moment="Um momento, por favor.",
            busy="Desculpe, todas as linhas estão ocupadas. Por favor, ligue mais tarde.",
            call_limit="Temos de terminar esta chamada agora.",
            done="Está bem.",
            transfer_failed="Desculpe, de momento ninguém pode atender a sua chamada. Em que mais posso ajudar?",
        ),
    ),
    "sv": (
        "Hej. Hur kan jag hjälpa dig?",
        Phrases(
            goodbye="Hej då.",
            not_heard="Tyvärr hörde jag ingenting.",
            say_it_again="Förlåt, det uppfattade jag inte. Var snäll och säg det igen.",
            not_available="Tyvärr är tjänsten inte tillgänglig.",
            one_moment="Ett ögonblick.",
            busy="Tyvärr är alla linjer upptagna. Ring igen senare.",
            call_limit="Vi måste avsluta samtalet nu.",
            done="Okej.",
            transfer_failed="Tyvärr kan ingen ta samtalet just nu. Hur kan jag hjälpa dig i stället?",
        ),
    ),
    "zh": (
        "您好，请问有什么可以帮您？",
        Phrases(
            goodbye="再见。",
            not_heard="抱歉，我没有听到您的声音。",
            say_it_again="抱歉，我没有听清，请再说一遍。",
            not_available="抱歉，该服务无法使用。",
            one_moment="请稍等。",
            busy="抱歉，所有线路正忙，请稍后再拨。",
            call_limit="我们现在需要结束本次通话。",
            done="好的。",
            transfer_failed="抱歉，现在没有人可以接听您的电话。请问还有什么可以帮您？",
        ),
    ),
    "zh_HK": (  # Cantonese as it is spoken
        "你好，請問有咩可以幫到你？",
        Phrases(
            goodbye="再見。",
            not_heard="唔好意思，我聽唔到你講嘢。",
            say_it_again="唔好意思，我聽唔清楚，請再講一次。",
            not_available="唔好意思，呢項服務用唔到。",
            one_moment="請等一等。",
            busy="唔好意思，所有線路都好繁忙，請遲啲再打嚟。",
            call_limit="我哋而家要結束呢個通話。",
            done="好嘅。",
            transfer_failed="唔好意思，而家冇人可以接聽你嘅電話。請問仲有咩可以幫到你？",
        ),
    ),
}

"""Greeting and phrases by language (`de`), or by locale (`es_ES`) where its words differ from the language's.

`es`, `pt` and `zh` are the Spanish of Latin America, the Portuguese of Brazil, and Mandarin. Phrases are worded so that
neither the speaker's nor the caller's sex shows. They address the caller politely, as a stranger.
"""

# Locales of Lex that Twilio's <Say> knows by another tag. Twilio's list is `SayLanguage` in
# https://github.com/twilio/twilio-node/blob/main/src/twiml/VoiceResponse.ts . None of this was heard on a live call.
_TAGS: Mapping[str, str] = {
    "ar_AE": "arb",  # Modern Standard Arabic. Twilio knows ar-AE (Gulf) too, but with neural voices alone
    "es_419": "es-MX",  # no tag for all of Latin America
    "no_NO": "nb-NO",  # Bokmål; there is no tag for Norwegian as such
}


def phrases_for(locale_id: str) -> Phrases:
    """Return the phrases for a locale of Lex, such as `de_AT`, or the English ones if its language is unknown."""
    return _row(locale_id)[1]


def greeting_for(locale_id: str) -> str:
    """Return the greeting for a locale of Lex, such as `de_AT`, or the English one if its language is unknown."""
    return _row(locale_id)[0]


def language_tag(locale_id: str) -> str:
    """Return the locale as the `language` of Twilio's `<Say>`: `en-US` for `en_US`."""
    return _TAGS.get(locale_id, locale_id.replace("_", "-"))


def _row(locale_id: str) -> tuple[str, Phrases]:
    language = locale_id.partition("_")[0]
    return CATALOGUE.get(locale_id) or CATALOGUE.get(language) or CATALOGUE["en"]
