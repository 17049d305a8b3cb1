# SPDX-License-Identifier: Apache-2.0
"""What is said, written for this purpose: everyday sentences in many languages, and words heavy in lip sounds."""

ENGLISH = """
Good morning, my name is Emma and I will be your guide today.
Please put the blue box by the big brown door before lunch.
We have been waiting for the bus for more than forty minutes.
Could you help me move this piano a little bit to the left?
The weather was wonderful, so we walked along the river and back.
I thought about it over the weekend, and I believe we should try.
Five very brave wolves found a warm cave above the valley.
My mother bought three pounds of butter and a bag of brown sugar.
What would you like to drink, water, coffee, or a cup of tea?
He opened the window, looked out, and slowly shook his head.
Nobody knows how the old map of the harbour got lost.
She plays the violin every evening from seven until half past eight.
If you are happy with the plan, press the green button now.
The price of apples went up by four percent in November.
Oh wow, that is amazing! I have never seen anything like it.
Turn right at the church, then go straight ahead for two miles.
The museum is open from Monday to Friday, but not on public holidays.
Maybe we can meet at the cafe opposite the main station.
Father packed the bags, and Bob made a map of the park.
Their shop sells shoes, shirts, shawls and fresh fish.
Remember to bring your passport, your tickets and a pen.
It is not about the money, it is about the people.
Would you mind if I borrowed your umbrella for a moment?
The children were jumping up and down in the empty room.
Above the bay, above the pines, the moon was pale and broad.
How are you? I am fine, thank you, and you?
Well, that depends on who you ask and when you ask them.
A small boat moved past the pier and vanished in the fog.
Let us begin with a very simple example.
Sorry, I did not catch that. Can you say it again, please?
""".strip().splitlines()

TWISTERS = """
Big Bob baked Papa Bear a bowl of plum pudding.
Peppy puppies pop paper bags while baby pumas purr.
My mummy makes marmalade more often than my mama made muffins.
Five fine vans full of velvet foxes vanished in fifty foggy valleys.
We woke while wild winds whipped the white wood walls away.
She saw six shiny ships passing slowly by the sea shore.
Thirty three thin thieves thought that Thursday was their birthday.
Pam, bump, pump, bomb, mob, map, bam, pub, mope, beam, poem.
Above, of, move, wife, five, fifth, have, vivid, half, fever.
Bubble bobble pebble papaya puma bamboo mamba pompom baboon.
Each peach, teach, beach, judge, badge, wash, fish, shush, vision.
Wee, way, why, woe, woo, we were, wherever, away, a wheel, a whale.
Oo, oh, aw, ah, ee, ay, eye, ow, you, we, boo, bee, baa, bow, bar.
Maybe, bumper, camper, number, member, lumber, amber, combing, simple.
""".strip().splitlines()

_OTHERS: dict[str, str] = {
    "de": """
Guten Morgen, ich möchte bitte ein halbes Brot und zwei Brötchen.
Meine Mutter wohnt seit fünf Jahren in einem kleinen Haus am Wald.
Können Sie mir bitte sagen, wie spät es ist?
Wir haben gestern Abend lange über das Problem gesprochen.
Der Apfel fällt im Herbst vom Baum und rollt über den Weg.
Das Boot fuhr am Pier vorbei und verschwand im Nebel.
Bitte vergessen Sie nicht, den blauen Knopf zu drücken.
Ob es morgen schön wird, weiß im Moment niemand.
""",
    "fr": """
Bonjour, je voudrais une baguette et deux pommes, merci beaucoup.
Ma mère habite depuis cinq ans dans une petite maison au bord du bois.
Pouvez-vous me dire où se trouve la bibliothèque, s'il vous plaît ?
Nous avons beaucoup parlé de ce problème hier soir.
Le bateau passe devant le pont et disparaît dans la brume.
Appuyez sur le bouton bleu et patientez un petit moment.
Il fait beau aujourd'hui, nous allons marcher le long du fleuve.
Un bon vin blanc, un peu de pain, et tout va bien.
""",
    "es": """
Buenos días, me gustaría comprar un kilo de manzanas y un poco de pan.
Mi madre vive desde hace cinco años en una casa pequeña junto al bosque.
Por favor, ¿puede decirme dónde está la biblioteca?
Ayer por la noche hablamos mucho sobre ese problema.
El barco pasó por delante del puente y desapareció en la niebla.
Pulse el botón azul y espere un momento, por favor.
Hoy hace buen tiempo, vamos a pasear a lo largo del río.
Mañana empieza el campeonato y todo el mundo está muy animado.
""",
    "it": """
Buongiorno, vorrei un chilo di mele e un po' di pane, per favore.
Mia madre abita da cinque anni in una piccola casa vicino al bosco.
Mi può dire per piacere dove si trova la biblioteca?
Ieri sera abbiamo parlato a lungo di questo problema.
La barca passa davanti al ponte e sparisce nella nebbia.
Premi il bottone blu e aspetta un momento.
Oggi fa bel tempo, andiamo a passeggiare lungo il fiume.
""",
    "pt": """
Bom dia, eu queria comprar um quilo de maçãs e um pouco de pão.
A minha mãe mora há cinco anos numa casa pequena perto da floresta.
Por favor, pode me dizer onde fica a biblioteca?
Ontem à noite falamos muito sobre esse problema.
O barco passou em frente à ponte e desapareceu na névoa.
Aperte o botão azul e espere um momento.
Hoje o tempo está bom e vamos passear ao longo do rio.
""",
    "nl": """
Goedemorgen, ik wil graag een half brood en twee broodjes.
Mijn moeder woont al vijf jaar in een klein huis bij het bos.
Kunt u mij misschien vertellen hoe laat het is?
We hebben gisteravond lang over het probleem gepraat.
De boot voer voorbij de brug en verdween in de mist.
Druk op de blauwe knop en wacht even, alstublieft.
""",
    "pl": """
Dzień dobry, poproszę pół chleba i dwie bułki z masłem.
Moja mama mieszka od pięciu lat w małym domu pod lasem.
Czy może mi pan powiedzieć, gdzie jest biblioteka?
Wczoraj wieczorem długo mówiliśmy o tym problemie.
Łódź przepłynęła obok mostu i zniknęła we mgle.
Proszę wcisnąć niebieski przycisk i poczekać chwilę.
""",
    "ru": """
Доброе утро, дайте мне, пожалуйста, половину хлеба и две булочки.
Моя мама уже пять лет живёт в маленьком доме у леса.
Скажите, пожалуйста, где находится библиотека?
Вчера вечером мы долго говорили об этой проблеме.
Лодка проплыла мимо моста и пропала в тумане.
Нажмите на синюю кнопку и подождите немного.
""",
    "tr": """
Günaydın, yarım ekmek ve iki poğaça almak istiyorum.
Annem beş yıldır ormanın yanında küçük bir evde yaşıyor.
Lütfen kütüphanenin nerede olduğunu söyler misiniz?
Dün akşam bu problem hakkında uzun uzun konuştuk.
Tekne köprünün önünden geçti ve sisin içinde kayboldu.
Mavi düğmeye basın ve biraz bekleyin.
""",
    "fi": """
Hyvää huomenta, haluaisin puoli leipää ja kaksi pullaa.
Äitini on asunut viisi vuotta pienessä talossa metsän vieressä.
Voisitteko sanoa, missä kirjasto on?
Puhuimme eilen illalla pitkään tästä ongelmasta.
Vene meni sillan ohi ja katosi sumuun.
Paina sinistä nappia ja odota hetki, ole hyvä.
""",
    "sv": """
God morgon, jag skulle vilja ha ett halvt bröd och två bullar.
Min mamma har bott i fem år i ett litet hus vid skogen.
Kan du säga mig var biblioteket ligger?
I går kväll pratade vi länge om problemet.
Båten for förbi bron och försvann i dimman.
""",
    "cs": """
Dobré ráno, prosím půl chleba a dvě housky s máslem.
Moje máma bydlí už pět let v malém domě u lesa.
Můžete mi prosím říct, kde je knihovna?
Včera večer jsme dlouho mluvili o tom problému.
Loď proplula kolem mostu a zmizela v mlze.
""",
    "id": """
Selamat pagi, saya mau membeli setengah roti dan dua buah apel.
Ibu saya sudah lima tahun tinggal di rumah kecil dekat hutan.
Bisakah Anda memberi tahu di mana perpustakaan itu?
Tadi malam kami berbicara lama tentang masalah itu.
Perahu itu lewat di bawah jembatan dan hilang dalam kabut.
""",
    "hi": """
नमस्ते, मुझे आधी रोटी और दो सेब चाहिए।
मेरी माँ पाँच साल से जंगल के पास एक छोटे घर में रहती है।
कृपया मुझे बताइए कि पुस्तकालय कहाँ है।
कल शाम हमने इस बात पर बहुत देर तक बात की।
नाव पुल के पास से निकली और धुंध में खो गई।
""",
    "sw": """
Habari ya asubuhi, naomba nusu mkate na maembe mawili.
Mama yangu anaishi kwa miaka mitano katika nyumba ndogo karibu na msitu.
Tafadhali niambie maktaba iko wapi.
Jana jioni tulizungumza sana kuhusu tatizo hilo.
Mashua ilipita mbele ya daraja ikapotea kwenye ukungu.
""",
    "cmn-latn-pinyin": """
ni3 hao3, wo3 xiang3 mai3 mian4 bao1 he2 ping2 guo3.
wo3 ma1 ma5 zhu4 zai4 sen1 lin2 pang2 bian1 de5 fang2 zi5 li3.
qing3 wen4, tu2 shu1 guan3 zai4 na3 li3?
zuo2 tian1 wan3 shang5 wo3 men5 shuo1 le5 hen3 duo1 hua4.
ming2 tian1 bu2 hui4 xia4 yu3, wo3 men5 qu4 pao3 bu4 ba5.
""",
    "el": """
Καλημέρα, θα ήθελα μισό ψωμί και δύο μήλα, παρακαλώ.
Η μητέρα μου μένει πέντε χρόνια σε ένα μικρό σπίτι κοντά στο δάσος.
Μπορείτε να μου πείτε πού είναι η βιβλιοθήκη;
Χθες το βράδυ μιλήσαμε πολύ για αυτό το πρόβλημα.
""",
}
SENTENCES: dict[str, list[str]] = {language: text.strip().splitlines() for language, text in _OTHERS.items()}

# Never trained on: neither these sentences, nor their languages but English.
HELD_OUT: dict[str, list[str]] = {
    "en": """
Probably the most important member of the family is the baby.
Mix a cup of milk with the pepper, then bake it for an hour.
Every morning Mister Palmer feeds the pigeons in front of the bank.
The film about the emperor and his brother was simply brilliant.
""".strip().splitlines(),
    "ro": """
Bună dimineața, aș vrea o jumătate de pâine și două mere.
Mama mea locuiește de cinci ani într-o casă mică lângă pădure.
Barca a trecut pe lângă pod și a dispărut în ceață.
""".strip().splitlines(),
    "hu": """
Jó reggelt, kérek egy fél kenyeret és két almát.
Anyám öt éve lakik egy kis házban az erdő mellett.
Meg tudná mondani, hol van a múzeum, kérem?
""".strip().splitlines(),
    "hr": """
Dobro jutro, molim vas pola kruha i dvije jabuke.
Moja majka već pet godina živi u maloj kući blizu šume.
Brod je prošao pokraj mosta i nestao u magli.
""".strip().splitlines(),
    "da": """
Godmorgen, jeg vil gerne have et halvt brød og to æbler.
Min mor har boet fem år i et lille hus ved skoven.
Båden sejlede forbi broen og forsvandt i tågen.
""".strip().splitlines(),
    "ca": """
Bon dia, voldria mig pa i dues pomes, si us plau.
La meva mare viu des de fa cinc anys en una casa petita a prop del bosc.
El vaixell va passar per davant del pont i va desaparèixer.
""".strip().splitlines(),
}

# Said by voices of neural synthesisers that are never trained on, beside HELD_OUT["en"].
HELD_OUT_NEURAL = """
My neighbour Pamela grows pumpkins, plums and purple beans behind her barn.
Someone bumped into the lamp, so the bulb broke and we sat in the gloom.
The maps in this pamphlet were made by a famous member of our club.
Bob promised to bring his trumpet, but maybe he simply forgot about it.
We climbed up the hill in the morning and came home before the rain.
Mum put a pot of jam on top of the cupboard beside the lemon balm.
Most companies pay their people at the beginning of the month.
Who would have thought that a room so small could be so warm?
""".strip().splitlines()
