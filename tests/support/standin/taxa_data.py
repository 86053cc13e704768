"""Names of the test world: trees, butterflies and moths, and the families of Audubon's birds.

Common knowledge of floras and faunas, written down for the tests. A vernacular name is left empty where it is not
certain. Columns are separated by `|`; several names of one language by `;`.
"""

# ruff: noqa: E501 - a row of a table is one line
from __future__ import annotations

# plate label | scientific name | author | family | en | nl | de | fr
TREES = """
horse-chestnut|Aesculus hippocastanum|L.|Sapindaceae|horse chestnut|witte paardenkastanje|Gewöhnliche Rosskastanie|marronnier commun
laburnum|Laburnum anagyroides|Medik.|Fabaceae|common laburnum|goudenregen|Gemeiner Goldregen|cytise faux ébénier
mulberry|Morus nigra|L.|Moraceae|black mulberry|zwarte moerbei|Schwarze Maulbeere|mûrier noir
cluster-pine|Pinus pinaster|Aiton|Pinaceae|maritime pine;cluster pine|zeeden|See-Kiefer|pin maritime
common-elm|Ulmus minor|Mill.|Ulmaceae|field elm;common elm|gladde iep|Feldulme|orme champêtre
strawberry-tree|Arbutus unedo|L.|Ericaceae|strawberry tree|aardbeiboom|Westlicher Erdbeerbaum|arbousier commun
cherry|Prunus avium|(L.) L.|Rosaceae|wild cherry;gean|zoete kers|Vogel-Kirsche|merisier
ash|Fraxinus excelsior|L.|Oleaceae|European ash;ash|es|Gemeine Esche|frêne élevé
guelder-rose|Viburnum opulus|L.|Viburnaceae|guelder-rose|Gelderse roos|Gewöhnlicher Schneeball|viorne obier
walnut|Juglans regia|L.|Juglandaceae|common walnut|okkernoot;walnoot|Echte Walnuss|noyer commun
wayfaring-tree|Viburnum lantana|L.|Viburnaceae|wayfaring tree|wollige sneeuwbal|Wolliger Schneeball|viorne lantane
rowan|Sorbus aucuparia|L.|Rosaceae|rowan;mountain ash|wilde lijsterbes|Vogelbeere;Eberesche|sorbier des oiseleurs
white-beam|Sorbus aria|(L.) Crantz|Rosaceae|common whitebeam|meelbes|Echte Mehlbeere|alisier blanc
plum|Prunus domestica|L.|Rosaceae|plum|pruim|Pflaume|prunier domestique
travellers-joy|Clematis vitalba|L.|Ranunculaceae|traveller's joy;old man's beard|bosrank|Gewöhnliche Waldrebe|clématite des haies
wellingtonia|Sequoiadendron giganteum|(Lindl.) J.Buchholz|Cupressaceae|giant sequoia;wellingtonia|mammoetboom|Riesenmammutbaum|séquoia géant
maple|Acer campestre|L.|Sapindaceae|field maple|Spaanse aak;veldesdoorn|Feldahorn|érable champêtre
tamarisk|Tamarix gallica|L.|Tamaricaceae|French tamarisk|Franse tamarisk|Französische Tamariske|tamaris de France
sycamore|Acer pseudoplatanus|L.|Sapindaceae|sycamore|gewone esdoorn|Bergahorn|érable sycomore
oak|Quercus robur|L.|Fagaceae|pedunculate oak;English oak|zomereik|Stieleiche|chêne pédonculé
holly|Ilex aquifolium|L.|Aquifoliaceae|holly|hulst|Europäische Stechpalme|houx commun
corsican-pine|Pinus nigra|J.F.Arnold|Pinaceae|black pine|zwarte den|Schwarzkiefer|pin noir
alder-buckthorn|Frangula alnus|Mill.|Rhamnaceae|alder buckthorn|sporkehout;vuilboom|Faulbaum|bourdaine
apple|Malus domestica|(Suckow) Borkh.|Rosaceae|apple|appel|Kulturapfel|pommier domestique
sweet-chestnut|Castanea sativa|Mill.|Fagaceae|sweet chestnut|tamme kastanje|Edelkastanie|châtaignier commun
common-laurel|Prunus laurocerasus|L.|Rosaceae|cherry laurel;common laurel|laurierkers|Lorbeerkirsche|laurier-cerise
hazel|Corylus avellana|L.|Betulaceae|common hazel|hazelaar|Gemeine Hasel|noisetier commun
service-tree|Sorbus domestica|L.|Rosaceae|true service tree|peervormige lijsterbes|Speierling|cormier
medlar|Mespilus germanica|L.|Rosaceae|medlar|mispel|Echte Mispel|néflier commun
yew|Taxus baccata|L.|Taxaceae|common yew|taxus;venijnboom|Europäische Eibe|if commun
linden|Tilia × europaea|L.|Malvaceae|common lime|Hollandse linde|Holländische Linde|tilleul commun
douglas-fir|Pseudotsuga menziesii|(Mirb.) Franco|Pinaceae|Douglas fir|douglasspar|Gewöhnliche Douglasie|sapin de Douglas
beech|Fagus sylvatica|L.|Fagaceae|European beech|beuk|Rotbuche|hêtre commun
cornel-or-dogwood|Cornus sanguinea|L.|Cornaceae|common dogwood|rode kornoelje|Roter Hartriegel|cornouiller sanguin
aspen|Populus tremula|L.|Salicaceae|aspen|ratelpopulier;esp|Zitterpappel;Espe|peuplier tremble
pear|Pyrus communis|L.|Rosaceae|common pear|peer|Kultur-Birne|poirier commun
stone-pine|Pinus pinea|L.|Pinaceae|stone pine|parasolden|Pinie|pin parasol;pin pignon
plane-tree|Platanus × hispanica|Mill. ex Münchh.|Platanaceae|London plane|gewone plataan|Ahornblättrige Platane|platane commun
silver-birch|Betula pendula|Roth|Betulaceae|silver birch|ruwe berk|Hänge-Birke|bouleau verruqueux
spindle-tree|Euonymus europaeus|L.|Celastraceae|spindle|wilde kardinaalsmuts|Pfaffenhütchen|fusain d'Europe
hornbeam|Carpinus betulus|L.|Betulaceae|hornbeam|haagbeuk|Hainbuche|charme commun
pollard-white-willow|Salix alba|L.|Salicaceae|white willow|schietwilg|Silber-Weide|saule blanc
abele|Populus alba|L.|Salicaceae|white poplar;abele|witte abeel|Silber-Pappel|peuplier blanc
scots-fir|Pinus sylvestris|L.|Pinaceae|Scots pine|grove den|Waldkiefer|pin sylvestre
hawthorn|Crataegus monogyna|Jacq.|Rosaceae|common hawthorn|eenstijlige meidoorn|Eingriffeliger Weißdorn|aubépine monogyne
cypress|Cupressus sempervirens|L.|Cupressaceae|Mediterranean cypress|Italiaanse cipres|Mittelmeer-Zypresse|cyprès d'Italie
elder|Sambucus nigra|L.|Viburnaceae|elder|gewone vlier|Schwarzer Holunder|sureau noir
lombardy-poplar|Populus nigra|L.|Salicaceae|black poplar|zwarte populier|Schwarz-Pappel|peuplier noir
wych-elm|Ulmus glabra|Huds.|Ulmaceae|wych elm|ruwe iep|Bergulme|orme de montagne
cedar-of-lebanon|Cedrus libani|A.Rich.|Pinaceae|cedar of Lebanon|Libanonceder|Libanon-Zeder|cèdre du Liban
alder|Alnus glutinosa|(L.) Gaertn.|Betulaceae|common alder|zwarte els|Schwarz-Erle|aulne glutineux
spruce|Picea abies|(L.) H.Karst.|Pinaceae|Norway spruce|fijnspar|Gemeine Fichte|épicéa commun
holm-oak|Quercus ilex|L.|Fagaceae|holm oak|steeneik|Steineiche|chêne vert
box|Buxus sempervirens|L.|Buxaceae|common box|palmboompje;buxus|Gewöhnlicher Buchsbaum|buis commun
acacia|Robinia pseudoacacia|L.|Fabaceae|black locust;false acacia|robinia|Gewöhnliche Robinie|robinier faux-acacia
larch|Larix decidua|Mill.|Pinaceae|European larch|Europese lork|Europäische Lärche|mélèze d'Europe
weeping-willow|Salix babylonica|L.|Salicaceae|weeping willow|treurwilg|Echte Trauerweide|saule pleureur
"""

# card numbers or photograph folder | scientific name | author, year (L. 1758 if empty) | family | en | nl | de | fr
LEPIDOPTERA = """
01|Cossus cossus||Cossidae|goat moth|wilgenhoutrups|Weidenbohrer|cossus gâte-bois
02|Acronicta psi||Noctuidae|grey dagger|psi-uil|Pfeileule|psi
03|Sphinx pinastri||Sphingidae|pine hawk-moth|dennenpijlstaart|Kiefernschwärmer|sphinx du pin
04|Danima banksiae|Lewin, 1805|Notodontidae|banksia moth|||
05|Malacosoma neustria||Lasiocampidae|lackey|ringelrupsvlinder|Ringelspinner|livrée des arbres
06|Acherontia atropos||Sphingidae|death's-head hawkmoth|doodshoofdvlinder|Totenkopfschwärmer|sphinx tête de mort
07|Calliteara pudibunda||Erebidae|pale tussock|meriansborstel|Buchen-Streckfuß|pudibonde
08|Arctia caja||Erebidae|garden tiger|grote beer|Brauner Bär|écaille martre
09|Cerura vinula||Notodontidae|puss moth|hermelijnvlinder|Großer Gabelschwanz|grande queue fourchue
10|Laothoe populi||Sphingidae|poplar hawk-moth|populierenpijlstaart|Pappelschwärmer|sphinx du peuplier
11|Lymantria dispar||Erebidae|spongy moth;gipsy moth|plakker|Schwammspinner|spongieuse
12|Daphnis nerii||Sphingidae|oleander hawk-moth|oleanderpijlstaart|Oleanderschwärmer|sphinx du laurier-rose
13|Vanessa atalanta||Nymphalidae|red admiral|atalanta;admiraalvlinder|Admiral|vulcain
14|Syssphinx molina|Cramer, 1780|Saturniidae||||
15|Pieris brassicae||Pieridae|large white|groot koolwitje|Großer Kohlweißling|piéride du chou
16|Hyles euphorbiae||Sphingidae|spurge hawk-moth|wolfsmelkpijlstaart|Wolfsmilchschwärmer|sphinx de l'euphorbe
17|Nymphalis polychloros||Nymphalidae|large tortoiseshell|grote vos|Großer Fuchs|grande tortue
18|Parnassius apollo||Papilionidae|apollo|apollovlinder|Apollofalter|apollon
19|Papilio machaon||Papilionidae|swallowtail|koninginnenpage|Schwalbenschwanz|machaon
20|Sphinx ligustri||Sphingidae|privet hawk-moth|ligusterpijlstaart|Ligusterschwärmer|sphinx du troène
21|Apatura iris||Nymphalidae|purple emperor|grote weerschijnvlinder|Großer Schillerfalter|grand mars changeant
22|Aglais io||Nymphalidae|European peacock|dagpauwoog|Tagpfauenauge|paon-du-jour
23|Gonepteryx rhamni||Pieridae|common brimstone|citroenvlinder|Zitronenfalter|citron
24|Argynnis paphia||Nymphalidae|silver-washed fritillary|keizersmantel|Kaisermantel|tabac d'Espagne
25|Mimas tiliae||Sphingidae|lime hawk-moth|lindepijlstaart|Lindenschwärmer|sphinx du tilleul
26|Opisthograptis luteolata||Geometridae|brimstone moth|hagendoornvlinder|Gelbspanner|citronnelle rouillée
27|Lymantria monacha||Erebidae|black arches|nonvlinder|Nonne|nonne
28|Hemaris fuciformis||Sphingidae|broad-bordered bee hawk-moth|glasvleugelpijlstaart|Hummelschwärmer|sphinx gazé
29|Panolis flammea|Denis & Schiffermüller, 1775|Noctuidae|pine beauty|dennenuil|Forleule|noctuelle du pin
30|Callimorpha dominula||Erebidae|scarlet tiger|bonte beer|Schönbär|écaille marbrée
31|Deilephila elpenor||Sphingidae|elephant hawk-moth|groot avondrood|Mittlerer Weinschwärmer|grand sphinx de la vigne
32|Zygaena trifolii|Esper, 1783|Zygaenidae|five-spot burnet|vijfvlek-sint-jansvlinder|Sumpfhornklee-Widderchen|zygène du trèfle
33|Phalera bucephala||Notodontidae|buff-tip|wapendrager|Mondvogel|bucéphale
34|Hippotion celerio||Sphingidae|vine hawk-moth|wingerdpijlstaart|Großer Weinschwärmer|phénix
35|Rhyparia purpurata||Erebidae|purple tiger||Purpurbär|écaille pourprée
36|Abraxas grossulariata||Geometridae|magpie moth|bonte bessenvlinder|Stachelbeerspanner|zérène du groseillier
37|Nymphalis antiopa||Nymphalidae|mourning cloak;Camberwell beauty|rouwmantel|Trauermantel|morio
38|Aglais urticae||Nymphalidae|small tortoiseshell|kleine vos|Kleiner Fuchs|petite tortue
39|Gastropacha quercifolia||Lasiocampidae|lappet|eikenblad|Kupferglucke|feuille morte du chêne
40|Saturnia pyri|Denis & Schiffermüller, 1775|Saturniidae|giant peacock moth|grote nachtpauwoog|Wiener Nachtpfauenauge|grand paon de nuit
41|Smerinthus ocellata||Sphingidae|eyed hawk-moth|pauwoogpijlstaart|Abendpfauenauge|sphinx demi-paon
42|Macroglossum stellatarum||Sphingidae|hummingbird hawk-moth|kolibrievlinder|Taubenschwänzchen|moro-sphinx
43|Polygonia c-album||Nymphalidae|comma|gehakkelde aurelia|C-Falter|robert-le-diable
44|Euproctis similis|Fuessly, 1775|Erebidae|yellow-tail;gold-tail|donsvlinder|Schwan|cul-doré
45|Aglia tau||Saturniidae|tau emperor|tauvlinder|Nagelfleck|hachette
46|Catocala fraxini||Erebidae|Clifden nonpareil;blue underwing|blauw weeskind|Blaues Ordensband|likenée bleue
47|Diachrysia chrysitis||Noctuidae|burnished brass|koperuil|Messingeule|vert-doré
48|Saturnia pavonia||Saturniidae|small emperor moth|nachtpauwoog|Kleines Nachtpfauenauge|petit paon de nuit
49|Euplagia quadripunctaria|Poda, 1761|Erebidae|Jersey tiger|Spaanse vlag|Russischer Bär|écaille chinée
50|Euthrix potatoria||Lasiocampidae|drinker|rietvink|Grasglucke|buveuse
Danaus plexippus|Danaus plexippus||Nymphalidae|monarch butterfly|monarchvlinder|Monarchfalter|monarque
Heliconius charitonius|Heliconius charithonia|Linnaeus, 1767|Nymphalidae|zebra longwing||Zebrafalter|
Heliconius erato|Heliconius erato||Nymphalidae|red postman|||
Junonia coenia|Junonia coenia|Hübner, 1822|Nymphalidae|common buckeye|||
Lycaena phlaeas|Lycaena phlaeas|Linnaeus, 1761|Lycaenidae|small copper|kleine vuurvlinder|Kleiner Feuerfalter|cuivré commun
Papilio cresphontes|Papilio cresphontes|Cramer, 1777|Papilionidae|giant swallowtail|||grand porte-queue
Pieris rapae|Pieris rapae||Pieridae|small white|klein koolwitje|Kleiner Kohlweißling|piéride de la rave
Vanessa cardui|Vanessa cardui||Nymphalidae|painted lady|distelvlinder|Distelfalter|belle-dame
-|Euproctis chrysorrhoea||Erebidae|brown-tail|bastaardsatijnvlinder|Goldafter|cul-brun
"""

# accepted name | names that only appear as synonyms (P1420), each an item of its own
SYNONYMS = """
Vanessa atalanta|Pyrameis atalanta
Sphinx pinastri|Hyloicus pinastri
Acherontia atropos|Manduca atropos
Laothoe populi|Smerinthus populi
Mimas tiliae|Smerinthus tiliae
Aglais io|Vanessa io
Aglais urticae|Vanessa urticae
Nymphalis antiopa|Vanessa antiopa
Heliconius charithonia|Heliconius charitonius
Hyles euphorbiae|Deilephila euphorbiae
Gonepteryx rhamni|Rhodocera rhamni
Ulmus minor|Ulmus campestris
Sequoiadendron giganteum|Wellingtonia gigantea
"""

# accepted name | the combination it was first described in: basionym (P566, plants) or P1403 (animals)
FIRST_COMBINATIONS = """
Sorbus aria|Crataegus aria
Picea abies|Pinus abies
Alnus glutinosa|Betula alnus
Vanessa atalanta|Papilio atalanta
Aglais io|Papilio io
Arctia caja|Phalaena caja
"""

# order: its families
FAMILIES = {
    "Sapindales": "Sapindaceae",
    "Fabales": "Fabaceae",
    "Rosales": "Moraceae Ulmaceae Rosaceae Rhamnaceae",
    "Pinales": "Pinaceae",
    "Cupressales": "Cupressaceae Taxaceae",
    "Ericales": "Ericaceae",
    "Lamiales": "Oleaceae",
    "Dipsacales": "Viburnaceae",
    "Fagales": "Juglandaceae Fagaceae Betulaceae",
    "Ranunculales": "Ranunculaceae",
    "Caryophyllales": "Tamaricaceae",
    "Aquifoliales": "Aquifoliaceae",
    "Malvales": "Malvaceae",
    "Cornales": "Cornaceae",
    "Malpighiales": "Salicaceae",
    "Proteales": "Platanaceae",
    "Celastrales": "Celastraceae",
    "Buxales": "Buxaceae",
    "Lepidoptera": "Cossidae Noctuidae Sphingidae Notodontidae Lasiocampidae Erebidae Nymphalidae Saturniidae "
    "Pieridae Papilionidae Geometridae Zygaenidae Lycaenidae",
    "Galliformes": "Phasianidae",
    "Cuculiformes": "Cuculidae",
    "Falconiformes": "Falconidae",
    "Columbiformes": "Columbidae",
    "Psittaciformes": "Psittacidae",
    "Piciformes": "Picidae",
    "Accipitriformes": "Accipitridae",
    "Strigiformes": "Strigidae",
    "Apodiformes": "Trochilidae",
    "Caprimulgiformes": "Caprimulgidae",
    "Passeriformes": "Parulidae Fringillidae Icteridae Passerellidae Motacillidae Troglodytidae Mimidae Hirundinidae "
    "Vireonidae Paridae Bombycillidae Cardinalidae Tyrannidae Laniidae Turdidae",
}
# class: (phylum, kingdom, its orders)
CLASSES = {
    "Magnoliopsida": (
        "Tracheophyta",
        "Plantae",
        (
            "Sapindales Fabales Rosales Ericales Lamiales Dipsacales Fagales Ranunculales Caryophyllales Aquifoliales "
            "Malvales Cornales Malpighiales Proteales Celastrales Buxales"
        ),
    ),
    "Pinopsida": ("Tracheophyta", "Plantae", "Pinales Cupressales"),
    "Insecta": ("Arthropoda", "Animalia", "Lepidoptera"),
    "Aves": (
        "Chordata",
        "Animalia",
        (
            "Galliformes Cuculiformes Falconiformes Columbiformes Psittaciformes Piciformes Accipitriformes Strigiformes "
            "Apodiformes Caprimulgiformes Passeriformes"
        ),
    ),
}
HIGHER_NAMES = {
    "Plantae": {"en": "plants", "nl": "planten", "de": "Pflanzen", "fr": "plantes"},
    "Animalia": {"en": "animals", "nl": "dieren", "de": "Tiere", "fr": "animaux"},
    "Insecta": {"en": "insects", "nl": "insecten", "de": "Insekten", "fr": "insectes"},
    "Aves": {"en": "birds", "nl": "vogels", "de": "Vögel", "fr": "oiseaux"},
    "Lepidoptera": {"en": "butterflies and moths", "nl": "vlinders", "de": "Schmetterlinge", "fr": "lépidoptères"},
    "Passeriformes": {"en": "passerines", "nl": "zangvogels", "de": "Sperlingsvögel", "fr": "passereaux"},
    "Rosaceae": {"en": "rose family", "nl": "rozenfamilie", "de": "Rosengewächse", "fr": "rosacées"},
    "Fagaceae": {"en": "beech family", "nl": "napjesdragersfamilie", "de": "Buchengewächse", "fr": "fagacées"},
    "Sphingidae": {"en": "hawk moths", "nl": "pijlstaarten", "de": "Schwärmer", "fr": "sphingidés"},
}
# bird family: genera of Havell's plates 1 to 59
BIRD_GENERA = {
    "Phasianidae": "Meleagris Bonasa",
    "Cuculidae": "Coccyzus",
    "Parulidae": "Protonotaria Cardellina Setophaga Parkesia Vermivora Geothlypis Helmitheros",
    "Fringillidae": "Haemorhous Spinus",
    "Icteridae": "Quiscalus Icterus Dolichonyx",
    "Passerellidae": "Zonotrichia Junco Melospiza Pipilo",
    "Motacillidae": "Anthus",
    "Falconidae": "Falco",
    "Columbidae": "Zenaida",
    "Troglodytidae": "Thryomanes",
    "Mimidae": "Mimus",
    "Hirundinidae": "Progne",
    "Psittacidae": "Conuropsis",
    "Picidae": "Melanerpes Colaptes",
    "Vireonidae": "Vireo",
    "Accipitridae": "Haliaeetus Astur Buteo",
    "Paridae": "Baeolophus",
    "Bombycillidae": "Bombycilla",
    "Cardinalidae": "Piranga Passerina",
    "Tyrannidae": "Empidonax",
    "Strigidae": "Strix",
    "Trochilidae": "Archilochus",
    "Caprimulgidae": "Antrostomus",
    "Laniidae": "Lanius",
    "Turdidae": "Catharus",
}
